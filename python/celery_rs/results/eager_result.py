"""EagerResult: the result of a task that ran where it was called. Nothing is stored, so nothing is read."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

from celery_rs import states
from celery_rs.context import AppLike
from celery_rs.errors import TaskRevokedError
from celery_rs.results.async_result import AsyncResult
from celery_rs.results.joining import assert_will_not_block

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")


class EagerResult(AsyncResult[R]):
    """`ret_value` is what the task returned, or the exception that it raised."""

    def __init__(
        self,
        id: str,
        ret_value: Any,
        state: str,
        traceback: str | None = None,
        name: str | None = None,
        app: AppLike | None = None,
    ) -> None:
        super().__init__(id, task_name=name, app=app)
        self._result = ret_value
        self._state = state
        self._traceback = traceback
        self.on_ready(self)

    @property
    def state(self) -> str:
        return self._state

    status = state

    @property
    def result(self) -> Any:
        return self._result

    info = result

    @property
    def traceback(self) -> str | None:
        return self._traceback

    @property
    def children(self) -> list[Any]:
        """What an eager task sent is not recorded."""
        return []

    @property
    def date_done(self) -> None:
        """When it ended is not recorded."""
        return None

    def ready(self) -> bool:
        return True

    def exists(self) -> bool:
        return True

    @property
    def supports_native_join(self) -> bool:
        return False

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
        """What the task returned; raises what it raised, unless `propagate` is off."""
        if disable_sync_subtasks:
            assert_will_not_block()
        return cast("R", self.maybe_throw(propagate, callback))

    wait = get

    def __await__(self) -> Generator[Any, None, R]:
        yield from ()  # a generator, as awaiting wants it, that has nothing to wait for
        return self.get()

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], object] | None = None) -> Any:
        if propagate and self._state in states.PROPAGATE_STATES:
            raise self._result if isinstance(self._result, BaseException) else Exception(self._result)
        if callback is not None:
            callback(self.id, self._result)
        return self._result

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """There is nothing to forget."""

    def revoke(self, *args: Any, **kwargs: Any) -> None:
        """Make it one that was revoked: `get` raises TaskRevokedError."""
        self._state = states.REVOKED
        self._result = TaskRevokedError("revoked")

    def _extended(self, field: str) -> None:
        """What only a stored record could tell."""

    def __reduce__(self) -> tuple[Any, ...]:
        return EagerResult, (self.id, self._result, self._state, self._traceback, self._task_name)
