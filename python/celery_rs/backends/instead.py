"""The record that stands for one that a store cannot keep, or cannot read: a failure that says so. Pure."""

from celery_rs import states
from celery_rs.errors import BackendError
from celery_rs.wire import ResultCodec, TaskResult, encode_failure, encode_meta


def failure_instead(
    task_id: str, error: BackendError, *, now: float, codec: ResultCodec, attempt: int = 0
) -> TaskResult:
    failure = encode_failure(error, codec.serializer)
    meta = encode_meta(task_id, states.FAILURE, failure, now=now, codec=codec, attempt=attempt)
    return TaskResult(task_id, states.FAILURE, attempt, meta)
