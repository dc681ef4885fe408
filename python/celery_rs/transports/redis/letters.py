"""Dead letters: how they are written down, listed, edited and put back."""

import base64
import json
from collections.abc import Collection, Mapping, Sequence

from celery_rs._core import Envelope, open_envelopes
from celery_rs.transports.base import DeadLetter, DeadPage
from celery_rs.transports.edit import with_arguments
from celery_rs.transports.redis.keys import Keys, is_name
from celery_rs.transports.redis.link import pairs
from celery_rs.transports.redis.redelivery import NEW, with_past
from celery_rs.transports.redis.scripts import Script
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.skew import Skew

_PAGE = 500
_FAR = 1e11  # thousands of years from now
UNREADABLE = "unreadable"
_STRANGE = "its record is none of ours"


def letter(
    queue: str,
    task: str | None,
    task_id: str | None,
    reason: str,
    detail: str,
    crashes: int,
    deliveries: int,
    envelope: bytes,
) -> bytes:
    """As it is stored, behind the time of its death."""
    fields = [queue, task, task_id, reason, detail, crashes, deliveries, base64.b64encode(envelope).decode("ascii")]
    return json.dumps(fields).encode()


class RedisDeadLetters:
    """See `transports.base.DeadLetters`. Ids are decimal numbers that rise with every burial."""

    def __init__(self, server: Server, keys: Keys, skew: Skew) -> None:
        self._server = server
        self._keys = keys
        self._skew = skew

    def page(self, queue: str | None = None, after: str | None = None, limit: int = 100) -> DeadPage:
        letters: list[DeadLetter] = []
        position = str(_number(after or "0"))
        with self._server.borrowed() as link:
            while len(letters) <= limit:
                ids = link.call(b"ZRANGEBYSCORE", self._keys.dead_order, f"({position}", b"+inf", b"LIMIT", 0, _PAGE)
                if not ids:
                    break
                stored = link.call(b"HMGET", self._keys.dead, *ids)
                found = [_open(id, raw) for id, raw in zip(ids, stored, strict=True) if raw is not None]
                letters += [letter for letter in found if queue in (None, letter.queue)]
                position = ids[-1].decode()
        shown = letters[:limit]
        return DeadPage(shown, shown[-1].id if shown and len(letters) > limit else None)

    def get(self, id: str) -> DeadLetter:
        with self._server.borrowed() as link:
            raw = link.call(b"HGET", self._keys.dead, _number(id))
        if raw is None:
            raise KeyError(id)
        return _open(str(_number(id)).encode(), raw)

    def retry(self, ids: Collection[str]) -> int:
        with self._server.borrowed() as link:
            arguments: list[bytes] = []
            for id in dict.fromkeys(ids):
                raw = link.call(b"HGET", self._keys.dead, _number(id))
                if raw is None:
                    continue
                dead = _open(id.encode(), raw)
                if dead.reason == UNREADABLE:
                    continue  # no queue is known for it
                opened = open_envelopes([dead.envelope])[0]
                priority = opened.priority if isinstance(opened, Envelope) else 0
                # Its past is over.
                arguments += [id.encode(), self._keys.queue(dead.queue, priority), with_past(dead.envelope, NEW)]
            return int(Script.REVIVE.run(link, self._keys.fixed, self._skew(), *arguments)) if arguments else 0

    def edit(self, id: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        dead = self.get(id)
        edited = letter(
            dead.queue, dead.task, dead.task_id, dead.reason, dead.detail, dead.crashes, dead.deliveries,
            with_arguments(dead.envelope, args, kwargs),
        )  # fmt: skip
        with self._server.borrowed() as link:
            link.call(b"HSET", self._keys.dead, _number(id), f"{dead.died_at:.6f}\n".encode() + edited)

    def purge(self, before: float | None = None) -> int:
        gone = 0
        with self._server.borrowed() as link:
            for id, raw in pairs(link.call(b"HGETALL", self._keys.dead)):
                if before is None or _open(id, raw).died_at < before:
                    gone += link.pipeline([(b"ZREM", self._keys.dead_order, id), (b"HDEL", self._keys.dead, id)])[0]
        return gone


def counted(server: Server, keys: Keys) -> dict[str, int]:
    """How many there are of each queue."""
    counts: dict[str, int] = {}
    with server.borrowed() as link:
        for id, raw in pairs(link.call(b"HGETALL", keys.dead)):
            queue = _open(id, raw).queue
            counts[queue] = counts.get(queue, 0) + 1
    return counts


def _open(id: bytes, raw: bytes) -> DeadLetter:
    try:
        return _read(id, raw)
    except (ValueError, TypeError, RecursionError):
        return DeadLetter(id.decode(errors="replace"), "", None, None, UNREADABLE, _STRANGE, 0, 0, 0.0, raw)


def _read(id: bytes, raw: bytes) -> DeadLetter:
    """Raises ValueError, TypeError, RecursionError for what only a stranger can have written."""
    died_at, _, fields = raw.partition(b"\n")
    queue, task, task_id, reason, detail, crashes, deliveries, envelope = json.loads(fields)
    if (
        not is_name(queue)
        or not all(isinstance(count, int) for count in (crashes, deliveries))
        or not 0 <= float(died_at) < _FAR
    ):
        raise ValueError
    return DeadLetter(
        id.decode(),
        queue,
        task,
        task_id,
        reason,
        detail,
        crashes,
        deliveries,
        float(died_at),
        base64.b64decode(envelope),
    )


def _number(id: str) -> int:
    """An id that is no number is nobody's."""
    return int(id) if id.isdecimal() and len(id) < 16 else -1
