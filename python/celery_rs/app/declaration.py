"""What a task's declaration says: where the rest of it comes from, and what makes no sense in it."""

from collections.abc import Mapping
from typing import Any

from celery_rs.config import check_rate, check_seconds
from celery_rs.errors import ImproperlyConfigured, NotSupported
from celery_rs.execution import exception_classes
from celery_rs.serializers import compression_type

FROM_SETTINGS: dict[str, str] = {
    "serializer": "task_serializer",
    "compression": "task_compression",
    "rate_limit": "task_default_rate_limit",
    "priority": "task_default_priority",
    "track_started": "task_track_started",
    "acks_late": "task_acks_late",
    "acks_on_failure_or_timeout": "task_acks_on_failure_or_timeout",
    "acks_on_failure": "task_acks_on_failure",
    "acks_on_timeout": "task_acks_on_timeout",
    "reject_on_worker_lost": "task_reject_on_worker_lost",
    "retry_on_worker_lost": "task_retry_on_worker_lost",
    "ignore_result": "task_ignore_result",
    "store_errors_even_if_ignored": "task_store_errors_even_if_ignored",
    "store_eager_result": "task_store_eager_result",
}
"""Task attribute → the setting it has when the class and the decorator say None."""

_NUMBER: tuple[type, ...] = (int, float)
_KINDS: dict[str, tuple[type, ...]] = {
    "max_retries": (int,),
    "default_retry_delay": _NUMBER,
    "time_limit": _NUMBER,
    "soft_time_limit": _NUMBER,
    "retry_backoff_max": _NUMBER,
    "priority": (int,),
}
_SECONDS = ("default_retry_delay", "time_limit", "soft_time_limit", "retry_backoff_max")
_EXCEPTIONS = ("autoretry_for", "dont_autoretry_for", "throws")
_REFUSED = {
    "Strategy": "use the signals task_received and task_prerun",
}


def check_declaration(task: Any) -> None:
    """Raises ImproperlyConfigured for options that make no sense, NotSupported for what is not there.

    Exceptions that are named by their paths are classes afterwards.
    """
    _check_numbers(task)
    if task.retry_kwargs is not None and not isinstance(task.retry_kwargs, Mapping):
        raise ImproperlyConfigured(f"task {task.name!r}: retry_kwargs must be a dict, got {task.retry_kwargs!r}")
    if task.soft_time_limit is not None and task.time_limit is not None and task.soft_time_limit > task.time_limit:
        raise ImproperlyConfigured(
            f"task {task.name!r}: soft_time_limit must not be above time_limit, "
            f"got {task.soft_time_limit!r} and {task.time_limit!r}"
        )
    check_rate(f"task {task.name!r}: rate_limit", task.rate_limit)
    if task.compression is not None:
        try:
            compression_type(task.compression)
        except ImproperlyConfigured as error:
            raise ImproperlyConfigured(f"task {task.name!r}: {error}") from None
    for option, instead in _REFUSED.items():
        if getattr(task, option) is not None:
            raise NotSupported(f"task {task.name!r}: {option} of its own", instead)
    for option in _EXCEPTIONS:
        try:
            setattr(task, option, exception_classes(getattr(task, option)))
        except TypeError as error:
            raise ImproperlyConfigured(f"task {task.name!r}: {option}: {error}") from None


def _check_numbers(task: Any) -> None:
    for option, kinds in _KINDS.items():
        value = getattr(task, option)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise ImproperlyConfigured(f"task {task.name!r}: {option} must be a number, got {value!r}")
    for option in _SECONDS:
        check_seconds(f"task {task.name!r}: {option}", getattr(task, option))
    if not isinstance(task.retry_backoff, bool):
        check_seconds(f"task {task.name!r}: retry_backoff", task.retry_backoff)
