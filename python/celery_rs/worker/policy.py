"""How the worker treats a task: the task's own options, else the settings, resolved once at start."""

from typing import Any, NamedTuple

from celery_rs.app import resolve
from celery_rs.errors import ImproperlyConfigured
from celery_rs.execution import RETRY_DELAY
from celery_rs.worker.request import Request


class Policy(NamedTuple):
    """Limits and delays are seconds; `rate` is what `rate_limit` says, unparsed."""

    late: bool = False
    soft_limit: float | None = None
    hard_limit: float | None = None
    rate: str | float | None = None
    acks_on_failure: bool = True
    acks_on_timeout: bool = True
    reject_on_worker_lost: bool = False
    retry_on_worker_lost: bool = False
    max_retries: int | None = 3
    retry_delay: float = RETRY_DELAY
    ignore_result: bool = False
    store_errors: bool = False
    send_events: bool = True
    request: type[Request] | None = None
    """A class of the task's own, to be told in this process what becomes of it."""


def policy_of(task: Any, conf: Any, *, soft_limit: float | None = None, hard_limit: float | None = None) -> Policy:
    """The policy for `task`; the two limits are the worker's own defaults (its command line)."""

    def option(name: str, setting: str) -> Any:
        value = getattr(task, name, None)
        return conf[setting] if value is None else value

    jointly = option("acks_on_failure_or_timeout", "task_acks_on_failure_or_timeout")
    on_failure = option("acks_on_failure", "task_acks_on_failure")
    on_timeout = option("acks_on_timeout", "task_acks_on_timeout")
    soft, hard = getattr(task, "soft_time_limit", None), getattr(task, "time_limit", None)
    return Policy(
        late=bool(option("acks_late", "task_acks_late")),
        soft_limit=soft if soft is not None else soft_limit if soft_limit is not None else conf["task_soft_time_limit"],
        hard_limit=hard if hard is not None else hard_limit if hard_limit is not None else conf["task_time_limit"],
        rate=None if conf["worker_disable_rate_limits"] else option("rate_limit", "task_default_rate_limit"),
        acks_on_failure=bool(jointly if on_failure is None else on_failure),
        acks_on_timeout=bool(jointly if on_timeout is None else on_timeout),
        reject_on_worker_lost=bool(option("reject_on_worker_lost", "task_reject_on_worker_lost")),
        retry_on_worker_lost=bool(option("retry_on_worker_lost", "task_retry_on_worker_lost")),
        max_retries=getattr(task, "max_retries", None),
        retry_delay=getattr(task, "default_retry_delay", RETRY_DELAY),
        ignore_result=bool(option("ignore_result", "task_ignore_result")),
        store_errors=bool(option("store_errors_even_if_ignored", "task_store_errors_even_if_ignored")),
        send_events=bool(getattr(task, "send_events", True)),
        request=_request_class(task),
    )


def _request_class(task: Any) -> type[Request] | None:
    """What the task says as `Request`. Raises ImproperlyConfigured where that is no such class."""
    given = getattr(task, "Request", None)
    if given is None:
        return None
    what = f"task {task.name!r}: Request"
    kind = resolve(given, what)
    if not isinstance(kind, type) or not issubclass(kind, Request):
        raise ImproperlyConfigured(f"{what} must be a subclass of celery_rs.worker.request.Request, got {kind!r}")
    return None if kind is Request else kind
