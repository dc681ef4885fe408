"""`cache+memory://`: values in this process's memory, for tests and for workers in the process of their clients."""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from celery_rs.backends.key_value import Step
from celery_rs.errors import BackendError

_SWEEP_AFTER = 1000
"""So many changes."""


class _Entry(NamedTuple):
    value: bytes
    until: float | None


@dataclass(slots=True)
class _Shelf:
    """The values of one name."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    pid: int = field(default_factory=os.getpid)
    changes: int = 0


_shelves: dict[str, _Shelf] = {}


class MemoryValues:
    """See `key_value.Values`. All of one name are the same."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._clock = clock
        self._shelf = _shelves.setdefault(name, _Shelf())

    def read(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        with self._locked():
            found = {key: self._value(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def change(self, steps: Mapping[str, Step]) -> Collection[str]:
        with self._locked() as shelf:
            for key, step in steps.items():
                new = step(self._value(key))
                if new is not None:
                    until = None if new.lasts is None else self._clock() + new.lasts
                    shelf.entries[key] = _Entry(new.value, until)
            shelf.changes += len(steps)
            if shelf.changes > _SWEEP_AFTER:
                self.sweep()
            shelf.changed.notify_all()
        return ()

    def drop(self, keys: Sequence[str]) -> None:
        with self._locked() as shelf:
            for key in keys:
                shelf.entries.pop(key, None)

    def sweep(self) -> None:
        with self._locked() as shelf:
            shelf.entries = {key: entry for key, entry in shelf.entries.items() if self._value(key) is not None}
            shelf.changes = 0

    def wait(self, seconds: float) -> bool:
        """Until something changes, at most so long."""
        shelf = self._shelf
        with shelf.changed:
            return shelf.changed.wait(seconds)

    def describe(self) -> str:
        return f"cache+memory://{self._name}"

    def after_fork(self) -> None:
        """Nothing to forget: every call from a child is refused, since it would talk to a copy."""

    def close(self) -> None:
        """The values stay for others of the same name."""

    def _value(self, key: str) -> bytes | None:
        entry = self._shelf.entries.get(key)
        if entry is None or (entry.until is not None and entry.until <= self._clock()):
            return None
        return entry.value

    @contextmanager
    def _locked(self) -> Iterator[_Shelf]:
        shelf = self._shelf
        if os.getpid() != shelf.pid:
            raise BackendError(
                f"{self.describe()} is in process {shelf.pid}, out of reach of its forked child {os.getpid()}; "
                "use a result store that processes can share, such as sqlite:///results.sqlite3"
            )
        with shelf.changed:
            yield shelf
