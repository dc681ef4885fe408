"""Which tasks were revoked: ids and stamps, for a while and up to a number (pure).

Times are epoch seconds: what is remembered outlives the process, in the state file and in the broker's facts. A task
that nobody revoked is asked about only where `active` says that somebody revoked anything.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from celery_rs._core import Envelope
from celery_rs.errors import ImproperlyConfigured

REVOKES_MAX = 50_000
REVOKE_EXPIRES_S = 10_800.0


class Revokes:
    """At most `most` ids, each for `expires` seconds unless told otherwise; the oldest is forgotten first."""

    def __init__(self, most: int = REVOKES_MAX, expires: float = REVOKE_EXPIRES_S) -> None:
        self._most = most
        self._expires = expires
        self._until: dict[str, float] = {}
        self._stamps: dict[str, set[Any]] = {}
        self.version = 0
        """Rises with every change of the ids."""

    @property
    def active(self) -> bool:
        """Whether anything is revoked at all."""
        return bool(self._until or self._stamps)

    def add(self, ids: Iterable[str], now: float, until: float | None = None) -> None:
        """Remember these, until that time; by default for as long as this worker remembers any."""
        for id in ids:
            self._until.pop(id, None)  # the newest is last
            self._until[id] = now + self._expires if until is None else until
            self.version += 1
        if len(self._until) > self._most:
            self._until = {id: until for id, until in self._until.items() if until > now}
        for id in list(self._until)[: max(0, len(self._until) - self._most)]:
            del self._until[id]

    def drop(self, id: str) -> None:
        """The id is not revoked any more."""
        if self._until.pop(id, None) is not None:
            self.version += 1

    def add_stamps(self, stamps: Mapping[str, Iterable[Any]]) -> None:
        """Revoke what carries one of these values under one of these names; remembered while the worker lives."""
        for name, values in stamps.items():
            self._stamps.setdefault(name, set()).update(values)

    def ids(self, now: float) -> list[str]:
        """What is revoked, oldest first."""
        return [id for id, until in self._until.items() if until > now]

    def snapshot(self) -> dict[str, float]:
        """Ids and until when they are remembered. Any thread."""
        return self._until.copy()

    def match(self, envelope: Envelope, now: float) -> "Match | None":
        """Why this message is revoked; None when it is not."""
        until = self._until.get(envelope.id)
        if until is not None and until > now:
            return Match()
        if self._stamps:
            found = stamped(envelope, self._stamps)
            if found:
                return Match(found)
        return None


class Match:
    """A message is revoked: by its id, or by these of its stamps."""

    __slots__ = ("stamps",)

    def __init__(self, stamps: Mapping[str, Any] | None = None) -> None:
        self.stamps = stamps


def stamped(envelope: Envelope, wanted: Mapping[str, Collection[Any]]) -> dict[str, Any]:
    """Those of its stamps that are wanted."""
    try:
        stamps = json.loads(envelope.headers).get("stamps")
    except ValueError:  # RecursionError cannot be: the extension has read them
        return {}
    if not isinstance(stamps, dict):
        return {}
    return {
        name: value
        for name, value in stamps.items()
        if name in wanted and any(_in(one, wanted[name]) for one in (value if isinstance(value, list) else [value]))
    }


def _in(value: Any, wanted: Collection[Any]) -> bool:
    # What cannot be hashed was never revoked, and what came as a word from a command line is a text.
    return isinstance(value, str | int | float | bool | None) and (value in wanted or str(value) in wanted)


def revokes_from_environment(environ: Mapping[str, str] = os.environ) -> Revokes:
    """The bounds that CELERY_WORKER_REVOKES_MAX and CELERY_WORKER_REVOKE_EXPIRES name. Raises ImproperlyConfigured."""
    most = _number(environ, "CELERY_WORKER_REVOKES_MAX", REVOKES_MAX)
    expires = _number(environ, "CELERY_WORKER_REVOKE_EXPIRES", REVOKE_EXPIRES_S)
    return Revokes(int(most), expires)


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    given = environ.get(name)
    if given is None:
        return default
    try:
        number = float(given)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ImproperlyConfigured(f"{name} must be a number, 0 or more, got {given!r}")
    return number
