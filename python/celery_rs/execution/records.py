"""Records of ends that nobody's code decided: unknown, expired, lost, killed tasks. Pure.

The worker's parent writes these. It knows a task by its envelope only, and never reads a body.
"""

from typing import Protocol

from celery_rs import states
from celery_rs.wire import ResultCodec, TaskResult, encode_failure, encode_meta

_PLAIN = ResultCodec()


class Known(Protocol):
    """What a record needs to know of a task; an Envelope does."""

    @property
    def id(self) -> str: ...
    @property
    def retries(self) -> int: ...
    @property
    def group(self) -> str | None: ...
    @property
    def parent_id(self) -> str | None: ...


def failure_record(
    task: Known,
    error: BaseException,
    *,
    now: float,
    state: str = states.FAILURE,
    traceback: str | None = None,
    codec: ResultCodec = _PLAIN,
) -> TaskResult:
    """`error` as the end of a task; `now` is epoch seconds."""
    meta = encode_meta(
        task.id,
        state,
        encode_failure(error, codec.serializer),
        now=now,
        traceback=traceback,
        group_id=task.group,
        parent_id=task.parent_id,
        codec=codec,
        attempt=task.retries,
    )
    return TaskResult(task.id, state, task.retries, meta)
