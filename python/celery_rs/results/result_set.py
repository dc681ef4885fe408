"""ResultSet: several results, waited for together."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from celery_rs import errors
from celery_rs.context import AppLike, current_app
from celery_rs.results.async_result import AsyncResult
from celery_rs.results.joining import assert_will_not_block
from celery_rs.results.promise import Callback, Promise


class ResultSet:
    """Results in the order in which they were added, each once."""

    def __init__(
        self, results: "Iterable[AsyncResult[Any]]", app: AppLike | None = None, ready_barrier: Any = None
    ) -> None:
        """`ready_barrier` is accepted as Celery does."""
        self.results: list[Any] = []
        self.on_ready = Promise()
        self._app = app
        self.update(results)

    @property
    def app(self) -> AppLike:
        return self._app or (self.results[0].app if self.results else current_app())

    @property
    def backend(self) -> Any:
        return self.results[0].backend if self.results else self.app.asked_backend

    # which

    def add(self, result: AsyncResult[Any]) -> None:
        if result not in self.results:
            self.results.append(result)

    def remove(self, result: AsyncResult[Any] | str) -> None:
        """Raises KeyError for one that is not there."""
        if result not in self.results:
            raise KeyError(result)
        self.results = [known for known in self.results if known != result]

    def discard(self, result: AsyncResult[Any] | str) -> None:
        self.results = [known for known in self.results if known != result]

    def update(self, results: "Iterable[AsyncResult[Any]]") -> None:
        for result in results:
            self.add(result)

    def clear(self) -> None:
        self.results.clear()

    # what became of them

    def successful(self) -> bool:
        """Whether all have succeeded."""
        return all(result.successful() for result in self.results)

    def failed(self) -> bool:
        """Whether any has failed."""
        return any(result.failed() for result in self.results)

    def waiting(self) -> bool:
        """Whether any is not ready."""
        return any(not result.ready() for result in self.results)

    def ready(self) -> bool:
        """Whether all are ready."""
        return not self.waiting()

    def completed_count(self) -> int:
        """How many have succeeded."""
        return sum(result.successful() for result in self.results)

    def maybe_throw(self, callback: Callable[[str, Any], object] | None = None, propagate: bool = True) -> None:
        for result in self.results:
            result.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    # waiting

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], object] | None = None,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], object] | None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], object] | None = None,
    ) -> list[Any]:
        """All values, in order. With a `callback` they go to it, as (id, value), and the list is empty.

        Raises what the first of them raised, errors.TimeoutError after `timeout` seconds for all together.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        deadline = None if timeout is None else time.monotonic() + timeout
        values = []
        for result in self.results:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            value = result.get(
                left,
                propagate,
                interval,
                callback=callback,
                on_message=on_message,
                on_interval=on_interval,
                disable_sync_subtasks=False,
            )
            if callback is None:
                values.append(value)
        return values

    join_native = join
    get = join

    def iter_native(self, timeout: float | None = None, **_: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """(id, {"status", "result", "traceback"}) of each as it becomes ready, those of groups among them one by one.

        Raises errors.TimeoutError when some are not ready after `timeout` seconds.
        """
        known = {result.id: result for result in self._tasks()}
        for record in self.backend.watch(list(known), timeout):
            result = known.pop(record.task_id)
            yield result.id, {"status": result.state, "result": result.result, "traceback": result.traceback}
        if known:
            raise errors.TimeoutError(f"{len(known)} tasks were not ready after {timeout} s, {next(iter(known))} first")

    def then(self, callback: Callback, on_error: Callback | None = None, weak: bool = False) -> Promise:
        """Call `callback` with the set once all are ready; `weak` is accepted as Celery does."""
        left = {result.id for result in self.results}

        def one_less(result: Any) -> None:
            left.discard(result.id)
            if not left:
                self.on_ready(self)

        for result in list(self.results):
            result.then(one_less, self.on_ready.throw)
        if not left:
            self.on_ready(self)
        return self.on_ready.then(callback, on_error)

    # ending them

    def forget(self) -> None:
        for result in self.results:
            result.forget()

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: Any = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Tell all workers not to run them; see AsyncResult.revoke."""
        return self.app.control.revoke(
            [result.id for result in self._tasks()],
            connection=connection,
            terminate=terminate,
            signal=signal,
            reply=wait,
            timeout=timeout,
        )

    def _tasks(self) -> "Iterator[AsyncResult[Any]]":
        """The results of single tasks, those of groups in it as well."""
        for result in self.results:
            if isinstance(result, ResultSet):
                yield from result._tasks()
            else:
                yield result

    @property
    def supports_native_join(self) -> bool:
        return all(result.supports_native_join for result in self.results)

    def __iter__(self) -> "Iterator[AsyncResult[Any]]":
        return iter(self.results)

    def __getitem__(self, index: int) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __contains__(self, result: object) -> bool:
        return result in self.results

    def __eq__(self, other: object) -> bool:
        return self.results == other.results if isinstance(other, ResultSet) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(str(result) for result in self.results)}]>"
