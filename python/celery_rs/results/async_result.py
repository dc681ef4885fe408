"""AsyncResult: the handle of a call's result.

It holds an id and the app; what it says is read from the result store at that moment, and remembered once the task
is ready, since a ready record does not change any more.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING, Any, Generic, cast

from celery_rs import errors, states
from celery_rs.context import AppLike, current_app
from celery_rs.results.awaiting import awaited, watcher
from celery_rs.results.graph import DependencyGraph
from celery_rs.results.joining import assert_will_not_block
from celery_rs.results.promise import Callback, Promise
from celery_rs.results.succession import Successive, successors
from celery_rs.serializers import Serializer, content_types, reader, serializer
from celery_rs.wire import Meta, TaskResult, decode_failure, decode_meta, read_meta

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from celery_rs.backends import ResultBackend
    from celery_rs.results.group_result import GroupResult

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

_SOON_S = 0.01


class AsyncResult(Successive, Generic[R]):
    """Equal to any handle of the same id, and to the id itself. `await result` is `get()` for asyncio.

    Everything that reads raises BackendError when the result store cannot be reached, and one clear error when
    results are not kept.
    """

    parent: "AsyncResult[Any] | GroupResult | None" = None
    _backend: "ResultBackend | None" = None
    _promise: Promise | None = None
    _told: bytes | None = None
    """Its record, ready, which came with that of another."""

    def __init__(
        self,
        id: str,
        backend: "ResultBackend | None" = None,
        task_name: str | None = None,
        app: AppLike | None = None,
        parent: "AsyncResult[Any] | GroupResult | None" = None,
        *,
        ignored: bool = False,
    ) -> None:
        """`backend` is the app's own where it is None. Raises ValueError without an id."""
        if not id or not isinstance(id, str):
            raise ValueError(f"a result needs the id of a task, got {id!r}")
        self.id = id
        self.app = app or current_app()
        self.ignored = ignored
        self._task_name = task_name
        self._ready: Meta | None = None
        if backend is not None:
            self._backend = backend
        if parent is not None:
            self.parent = parent

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def backend(self) -> "ResultBackend":
        """The result store; printing it shows which."""
        return self._backend or self.app.asked_backend

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
    def children(self) -> "list[AsyncResult[Any] | GroupResult]":
        """The results of the tasks that this one sent, a GroupResult for a group of them."""
        meta = self._meta()
        return [] if meta is None else list(_handles(meta.children, self.app))

    @property
    def date_done(self) -> datetime | None:
        """When it became ready, in UTC."""
        meta = self._meta()
        return datetime.fromisoformat(meta.date_done) if meta is not None and meta.date_done else None

    @property
    def name(self) -> str | None:
        """The task's name, where the caller or `result_extended` tells it."""
        return self._task_name if self._task_name is not None else self._extended("name")

    @property
    def args(self) -> Any:
        """The task's arguments; like the four that follow, None without `result_extended`."""
        return self._extended("args")

    @property
    def kwargs(self) -> Any:
        return self._extended("kwargs")

    @property
    def worker(self) -> str | None:
        """The node that ran it."""
        return cast("str | None", self._extended("worker"))

    @property
    def retries(self) -> int | None:
        """How often it had been retried."""
        return cast("int | None", self._extended("retries"))

    @property
    def queue(self) -> str | None:
        """The queue that its worker took it from."""
        return cast("str | None", self._extended("queue"))

    def _extended(self, field: str) -> Any:
        meta = self._meta()
        return None if meta is None else getattr(meta, field)

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

    @property
    def supports_native_join(self) -> bool:
        """Whether many results can be waited for at once: here every store can."""
        return True

    # waiting

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], object] | None = None,
        on_message: Callable[[dict[str, Any]], object] | None = None,
        on_interval: Callable[[], object] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """Wait for the task and return what it returned, or raise what it raised.

        Raises errors.TimeoutError after `timeout` seconds; RuntimeError inside a task, unless that is allowed. With
        `propagate` off an exception is returned. None at once for a call whose result is ignored. An error of a
        parent ends the waiting, unless `follow_parents` is off. Every `interval` seconds `on_interval` is called, and
        `on_message` with the record where that has changed; without them waiting is not polling. `no_ack` is
        accepted as Celery does.
        """
        if self.ignored:
            return cast("R", None)
        if disable_sync_subtasks:
            assert_will_not_block()
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float)):
            raise TypeError(f"timeout must be seconds, got {timeout!r}")
        if timeout is not None and isnan(timeout):
            raise ValueError(f"timeout must be seconds, got {timeout!r}")
        parents = list(self.parents()) if follow_parents and propagate and self.parent is not None else []
        if self._ready is None:
            if parents or on_interval is not None or on_message is not None:
                self._wait_and_look(timeout, interval, parents, on_interval, on_message)
            else:
                self._wait(timeout)
        elif parents:
            _raise_first(parents)
        self._passed()
        return cast("R", self.maybe_throw(propagate, callback))

    wait = get

    def __await__(self) -> Generator[Any, None, R]:
        if not self.ignored and self._ready is None:
            assert_will_not_block()
            record: TaskResult = yield from awaited(self.backend, self.id).__await__()
            self._keep(record.meta)
        return cast("R", None if self.ignored else self.maybe_throw())

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], object] | None = None) -> Any:
        """What there is by now; raises it where it is an error that ended the task."""
        meta = self._meta()
        value = None if meta is None else _value(meta)
        if propagate and meta is not None and meta.status in states.PROPAGATE_STATES:
            raise cast("BaseException", value)
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    @property
    def on_ready(self) -> Promise:
        """What is called with this handle when it is ready."""
        if self._promise is None:
            self._promise = Promise()
            if self._ready is not None:
                self._promise(self)
        return self._promise

    def then(self, callback: Callback, on_error: Callback | None = None, weak: bool = False) -> Promise:
        """Call `callback` with this handle once it is ready, in a thread of its own; `on_error` with what it raises.

        `weak` is accepted as Celery does.
        """
        promise = self.on_ready
        if not promise.ready:
            watcher(self.backend).add(self.id, self._hear)
        return promise.then(callback, on_error)

    def throw(self, error: BaseException) -> None:
        """Give `error` to who waits with `then`."""
        self.on_ready.throw(error)

    def _hear(self, what: TaskResult | Exception) -> None:
        if isinstance(what, Exception):
            self.on_ready.throw(what)
        else:
            try:
                self._keep(what.meta)
            except errors.CeleryError as error:  # a record that cannot be read
                self.on_ready.throw(error)

    # what it sent, and who sent it

    def parents(self) -> "Iterator[AsyncResult[Any] | GroupResult]":
        """From the first to the nearest."""
        if self.parent is not None:
            yield from self.parent.parents()
            yield self.parent

    def iterdeps(self, intermediate: bool = False) -> "Iterator[tuple[Any, Any]]":
        """(parent, result) of everything below, itself first. Raises IncompleteStream where one is not ready."""
        waiting: deque[tuple[Any, Any]] = deque([(None, self)])
        while waiting:
            parent, node = waiting.popleft()
            yield parent, node
            if node.ready():
                waiting.extend((node, child) for child in node.children)
            elif not intermediate:
                raise errors.IncompleteStream(f"task {node.id} is not ready, and may yet send others")

    def collect(self, intermediate: bool = False, **options: Any) -> "Iterator[tuple[Any, Any]]":
        """(result, value) of everything below; the options are those of `get`."""
        for _, node in self.iterdeps(intermediate):
            yield node, node.get(**options)

    def get_leaf(self) -> Any:
        """The value of the last result below."""
        value = None
        for _, node in self.iterdeps():
            value = node.get()
        return value

    def build_graph(self, intermediate: bool = False) -> DependencyGraph:
        """Which result sent which."""
        graph = DependencyGraph()
        for parent, node in self.iterdeps(intermediate):
            graph.add_arc(node)
            if parent is not None:
                graph.add_edge(parent, node)
        return graph

    @property
    def graph(self) -> DependencyGraph:
        return self.build_graph()

    def as_tuple(self) -> tuple[Any, None]:
        """((id, parent), None): how a record names its children."""
        return (self.id, None if self.parent is None else self.parent.as_tuple()), None

    def as_list(self) -> list[Any]:
        """Its id and those of its parents."""
        return [self.id, *([] if self.parent is None else self.parent.as_list())]

    # ending it

    def forget(self) -> None:
        """Delete the result, and those of its parents."""
        self._ready = self._told = None
        self.backend.forget([self.id])
        if self.parent is not None:
            self.parent.forget()

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Tell all workers not to run it, and to end it with `terminate`; `wait` for their answers."""
        return self.app.control.revoke(
            self.id, connection=connection, terminate=terminate, signal=signal, reply=wait, timeout=timeout
        )

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        connection: Any = None,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """The same of every task that carries these stamps."""
        return self.app.control.revoke_by_stamped_headers(
            headers, connection=connection, terminate=terminate, signal=signal, reply=wait, timeout=timeout
        )

    # the store

    def _meta(self) -> Meta | None:
        if self._ready is not None:
            return self._ready
        if self._told is not None:
            return self._keep(self._told)
        record = self.backend.fetch([self.id]).get(self.id)
        return None if record is None else self._keep(record.meta)

    def _wait(self, timeout: float | None) -> None:
        if self._ahead and self._told is None:
            self._read_ahead()
        if self._told is not None:
            self._keep(self._told)
            return
        for record in self.backend.watch([self.id], timeout):
            self._keep(record.meta)
            return
        raise errors.TimeoutError(f"task {self.id} was not ready after {timeout} s")

    def _read_ahead(self) -> None:
        """What there is by now for this one and those that are likely to be asked for next, in one trip."""
        asked = {result.id: result for result in (self, *successors(self)) if result._told is None}
        records = self.backend.fetch(list(asked))
        for task_id, record in records.items():
            if record.state in states.READY_STATES:
                asked[task_id]._told = record.meta
        self._learn(0 if self._told is None else sum(len(record.meta) for record in records.values()))

    def _wait_and_look(
        self,
        timeout: float | None,
        interval: float,
        parents: "Sequence[AsyncResult[Any] | GroupResult]",
        on_interval: Callable[[], object] | None,
        on_message: Callable[[dict[str, Any]], object] | None,
    ) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = b""
        while True:
            _raise_first(parents)
            left = max(interval, _SOON_S) if deadline is None else min(interval, deadline - time.monotonic())
            ready = next(iter(self.backend.watch([self.id], max(left, 0.0))), None)
            record = ready
            if record is None and on_message is not None:
                record = self.backend.fetch([self.id]).get(self.id)
            if on_message is not None and record is not None and record.meta != seen:
                seen = record.meta
                on_message(read_meta(record.meta, reader_of_results(self.app)))
            if ready is not None:
                self._keep(ready.meta)
                return
            if on_interval is not None:
                on_interval()
            if deadline is not None and time.monotonic() >= deadline:
                raise errors.TimeoutError(f"task {self.id} was not ready after {timeout} s")

    def _keep(self, raw: bytes) -> Meta:
        try:
            meta = decode_meta(raw, reader_of_results(self.app))
        except errors.ContentError as error:
            raise errors.BackendGetMetaError(
                f"the result of task {self.id} in {self.backend.describe()} cannot be read: {error}; "
                "was it written with another result_serializer?",
                task_id=self.id,
            ) from None
        if meta.status in states.READY_STATES:
            self._ready = meta
            self._told = None
            if self._promise is not None:
                self._promise(self)
        return meta

    # itself

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AsyncResult):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its app: that is the one of the process that reads it."""
        return type(self), (self.id, None, self._task_name, None, self.parent)


def result_from_tuple(r: Any, app: AppLike | None = None) -> Any:
    """The handle that `as_tuple` describes: an AsyncResult, or a GroupResult for a group's. Raises ValueError."""
    if hasattr(r, "as_tuple"):
        return r
    match r:
        case [[id, above], members]:
            parent = None if above is None else result_from_tuple(above, app)
        case [id, members]:
            parent = None
        case _:
            id, members, parent = None, None, None
    if isinstance(id, str) and members is None:
        return AsyncResult(id, app=app, parent=parent)
    if isinstance(id, str | None) and isinstance(members, list | tuple):
        found = [result_from_tuple(member, app) for member in members]
        return (app or current_app()).GroupResult(id, found, parent=parent)
    raise ValueError(f"a result is described by ((id, parent), None), or by members in place of None, got {r!r}")


def reader_of_results(app: AppLike) -> Serializer:
    """What reads results there. Raises ContentDisallowed when the settings do not accept their own."""
    conf = app.conf
    accept = conf.accept_content if conf.result_accept_content is None else conf.result_accept_content
    return reader(serializer(conf.result_serializer).content_type, content_types(accept))


def _raise_first(parents: "Sequence[AsyncResult[Any] | GroupResult]") -> None:
    for parent in parents:
        parent.maybe_throw()


def _value(meta: Meta) -> Any:
    return decode_failure(meta.result) if meta.status in states.EXCEPTION_STATES else meta.result


def _handles(children: Any, app: AppLike) -> "Iterator[AsyncResult[Any] | GroupResult]":
    """What result tuples describe; what has another shape is passed over."""
    for child in children:
        try:
            yield result_from_tuple(child, app)
        except ValueError:
            continue
