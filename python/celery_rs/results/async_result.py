"""AsyncResult: the handle of a call's result.

It holds an id and the app; what it says is read from the result store at that moment, and remembered once the task
is ready, since a ready record does not change any more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, cast

from celery_rs import errors, states
from celery_rs.context import AppLike, current_app, current_request
from celery_rs.wire import Meta, decode_failure, decode_meta

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

_may_wait: ContextVar[bool] = ContextVar("celery_rs_may_wait", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Let tasks wait for other tasks inside the block: a pool whose tasks all wait stands still for ever."""
    token = _may_wait.set(True)
    try:
        yield
    finally:
        _may_wait.reset(token)


class AsyncResult(Generic[R]):
    """Equal to any handle of the same id, and to the id itself.

    Everything that reads raises BackendError when the result store cannot be reached, and one clear error when
    results are not kept.
    """

    def __init__(
        self, id: str, *, app: AppLike | None = None, task_name: str | None = None, ignored: bool = False
    ) -> None:
        if not id:
            raise ValueError(f"a result needs the id of a task, got {id!r}")
        self.id = id
        self.app = app or current_app()
        self.ignored = ignored
        self._task_name = task_name
        self._ready: Meta | None = None

    @property
    def task_id(self) -> str:
        return self.id

    # reading

    @property
    def state(self) -> str:
        """PENDING for an id that nobody knows."""
        meta = self._meta()
        return states.PENDING if meta is None else meta.status

    status = state

    @property
    def result(self) -> Any:
        """The return value, the exception, or what update_state gave; None while there is nothing."""
        meta = self._meta()
        return None if meta is None else _value(meta)

    info = result

    @property
    def traceback(self) -> str | None:
        """The text of a failure's traceback."""
        meta = self._meta()
        return None if meta is None else meta.traceback

    @property
    def children(self) -> "list[AsyncResult[Any]]":
        """The results of the tasks that this one sent."""
        meta = self._meta()
        return [] if meta is None else [AsyncResult(child, app=self.app) for child in _ids(meta.children)]

    @property
    def date_done(self) -> datetime | None:
        """When it became ready, in UTC."""
        meta = self._meta()
        return datetime.fromisoformat(meta.date_done) if meta is not None and meta.date_done else None

    @property
    def name(self) -> str | None:
        """The task's name, where the caller or `result_extended` tells it."""
        if self._task_name is not None:
            return self._task_name
        meta = self._meta()
        return None if meta is None else meta.name

    def ready(self) -> bool:
        """Whether it has succeeded, failed or been revoked."""
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        return self.state == states.FAILURE

    def exists(self) -> bool:
        """Whether the store has anything for this id."""
        return self._meta() is not None

    # waiting

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], object] | None = None,
        on_message: Callable[..., object] | None = None,
        on_interval: Callable[[], object] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """Wait for the task and return what it returned, or raise what it raised.

        Raises errors.TimeoutError after `timeout` seconds; RuntimeError inside a task, unless that is allowed. With
        `propagate` off an exception is returned. None at once for a call whose result is ignored. `interval`,
        `no_ack`, `follow_parents`, `on_message` and `on_interval` are accepted as Celery does; waiting here is not
        polling.
        """
        if self.ignored:
            return cast("R", None)
        if disable_sync_subtasks:
            _refuse_inside_a_task()
        meta = self._ready or self._wait(timeout)
        value = _value(meta)
        if propagate and meta.status in states.PROPAGATE_STATES:
            raise value
        if callback is not None:
            callback(self.id, value)
        return cast("R", value)

    wait = get

    def forget(self) -> None:
        """Delete the result."""
        self._ready = None
        self.app.backend.forget([self.id])

    def _meta(self) -> Meta | None:
        if self._ready is not None:
            return self._ready
        record = self.app.backend.fetch([self.id]).get(self.id)
        return None if record is None else self._keep(record.meta)

    def _wait(self, timeout: float | None) -> Meta:
        for record in self.app.backend.watch([self.id], timeout):
            return self._keep(record.meta)
        raise errors.TimeoutError(f"task {self.id} was not ready after {timeout} s")

    def _keep(self, raw: bytes) -> Meta:
        meta = decode_meta(raw)
        if meta.status in states.READY_STATES:
            self._ready = meta
        return meta

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncResult):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.id}>"


def _refuse_inside_a_task() -> None:
    request = current_request()
    if request is not None and not request.called_directly and not _may_wait.get():
        raise RuntimeError(
            f"task {request.task!r} waits for another task, which may never get a process to run in; "
            "send it and return, or allow it: `with allow_join_result():`"
        )


def _value(meta: Meta) -> Any:
    return decode_failure(meta.result) if meta.status in states.EXCEPTION_STATES else meta.result


def _ids(children: Any) -> Iterator[str]:
    """The ids in result tuples, `[[id, parent], None]`; what has another shape is passed over."""
    for child in children:
        match child:
            case [[str(id), *_], *_]:
                yield id
