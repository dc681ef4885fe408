"""Who may wait for a task: not another task, which holds a process that the awaited one may need."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from celery_rs.context import current_request

_permission: ContextVar[bool | None] = ContextVar("celery_rs_may_wait", default=None)
"""None: it depends on whether a worker runs a task here."""


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Let tasks wait for other tasks inside the block: a pool whose tasks all wait stands still for ever."""
    token = _permission.set(True)
    try:
        yield
    finally:
        _permission.reset(token)


@contextmanager
def denied_join_result() -> Iterator[None]:
    """Let nobody wait for a task inside the block."""
    token = _permission.set(False)
    try:
        yield
    finally:
        _permission.reset(token)


def assert_will_not_block() -> None:
    """Raises RuntimeError where waiting for a task is not allowed."""
    permission = _permission.get()
    if permission:
        return
    request = current_request()
    inside = request is not None and not request.called_directly and not request.is_eager
    if inside or permission is False:
        who = "this" if request is None else f"task {request.task!r}"
        raise RuntimeError(
            f"{who} waits for another task, which may never get a process to run in; "
            "send it and return, or allow it: `with allow_join_result():`"
        )
