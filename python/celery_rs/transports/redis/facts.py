"""Small durable truths, each with the version at which it was put or dropped."""

import base64
import json
from collections.abc import Sequence

from celery_rs.transports.base import Fact
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew

DROPPED_FACT_S = 86_400
"""How long a dropped fact is still told to workers that look rarely."""
_BETWEEN = "\0"


class RedisFacts:
    """See `transports.base.Facts`."""

    def __init__(self, server: Server, keys: Keys, skew: Skew) -> None:
        self._server = server
        self._keys = keys
        self._skew = skew

    def put(self, kind: str, key: str, value: bytes, until: float | None = None) -> None:
        text = json.dumps([base64.b64encode(value).decode("ascii"), until])
        self._record(kind, key, text, "" if until is None else repr(until), only_known="0")

    def drop(self, kind: str, key: str) -> None:
        self._record(kind, key, "[null, null]", str(DROPPED_FACT_S), only_known="1")

    def _record(self, kind: str, key: str, text: str, until: str, *, only_known: str) -> None:
        keys, name = self._keys, kind + _BETWEEN + key
        with self._server.borrowed() as link:
            arguments = (keys.facts, keys.facts_order, name, text, until, only_known)
            Script.FACT.run(link, keys.fixed, self._skew(), *arguments)

    def since(self, version: int) -> tuple[int, Sequence[Fact]]:
        keys, skew = self._keys, self._skew()
        with self._server.borrowed() as link:
            # The version first: a fact that comes in between is told twice, and never passed over.
            newest, time, names = link.pipeline(
                [(b"GET", keys.facts_version), (b"TIME",), (b"ZRANGEBYSCORE", keys.facts_order, f"({version}", b"+inf")]
            )
            stored = link.call(b"HMGET", keys.facts, *names) if names else []
        now = int(time[0]) + int(time[1]) / 1e6 + skew
        found = [_fact(name, raw) for name, raw in zip(names, stored, strict=True) if raw is not None]
        living = [fact for fact in found if fact is not None and (fact.until is None or fact.until > now)]
        return version_of(newest), living


def version_of(told: bytes | None) -> int:
    """0 where there is none, or what only a stranger can have written."""
    return int(told) if told and told.isdigit() and len(told) < 20 else 0


def _fact(name: bytes, raw: bytes) -> Fact | None:
    """None for what only a stranger can have written."""
    try:
        kind, _, key = name.decode().partition(_BETWEEN)
        value, until = json.loads(raw)
        return Fact(
            kind, key, None if value is None else base64.b64decode(value), None if until is None else float(until)
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
