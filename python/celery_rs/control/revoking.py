"""Revoking without a worker's help: a durable fact for workers to come, and REVOKED for whoever waits now.

The fact is put first. A worker that reserves the message after that reads the fact in the same step and drops it; one
that reserved it before shows up as its holder. So nobody can be running, or yet run, what is stored as revoked here.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery_rs import states
from celery_rs.context import AppLike
from celery_rs.errors import NotSupported, TaskRevokedError
from celery_rs.wire import ResultCodec, TaskResult, encode_failure, encode_meta

REVOKED = "revoked"
"""The kind of the facts; their key is the task's id."""
REMEMBERED_S = 86_400.0
"""How long a revoke outlives the time at which its task would have started."""

_OVERWRITTEN = frozenset({states.PENDING, states.RECEIVED, states.RETRY, states.REJECTED})
_ELSEWHERE = frozenset({"held", "begun"})


def ids_of(task_id: Any) -> list[str]:
    """One id or many, each once, as text."""
    ids = [task_id] if isinstance(task_id, str) or not isinstance(task_id, Iterable) else task_id
    return list(dict.fromkeys(map(str, ids)))


def record_revokes(app: AppLike, ids: Sequence[str]) -> None:
    """Have these tasks never start. Those that no worker holds are stored as REVOKED now; a holder does it for its own.

    Raises OperationalError, BackendError.
    """
    transport = app.transport
    if not transport.features.facts:
        return
    until = time.time() + REMEMBERED_S
    for id in ids:
        transport.facts.put(REVOKED, id, b"{}", until)
    if not transport.features.browse:
        return  # whoever receives one of them, or has it in hand, stores it: nobody else knows whether it runs
    places = transport.locate(ids)
    for id, place in places.items():
        if place.due is not None:
            transport.facts.put(REVOKED, id, b"{}", max(until, place.due + REMEMBERED_S))
    idle = [id for id in ids if id not in places or places[id].state not in _ELSEWHERE]
    try:
        stored = app.backend.fetch(idle)
    except NotSupported:
        return  # results are not kept
    codec = ResultCodec.of(app.conf)
    app.backend.store([_record(id, stored.get(id), codec) for id in idle if _may_be_overwritten(stored, id)])


def _may_be_overwritten(stored: Mapping[str, TaskResult], id: str) -> bool:
    return id not in stored or stored[id].state in _OVERWRITTEN


def _record(id: str, before: TaskResult | None, codec: ResultCodec) -> TaskResult:
    told = encode_failure(TaskRevokedError("revoked"), codec.serializer)
    attempt = 0 if before is None else before.attempt
    meta = encode_meta(id, states.REVOKED, told, now=time.time(), codec=codec, attempt=attempt)
    return TaskResult(id, states.REVOKED, attempt, meta)
