"""Who am I: the current app and the request that runs now.

The app is the one of this thread (and context), else the default, else the newest, else a fallback that reads
`celeryconfig`. The request stack is per context, so that threads and coroutines do not see each other's. The
protocols say what lower rooms need of an app, so that `results` and `execution` never import `app`.
"""

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from celery_rs.errors import ImproperlyConfigured

if TYPE_CHECKING:
    from celery_rs.backends import ResultBackend
    from celery_rs.transports import Outgoing, Transport
    from celery_rs.wire import LamportClock


class AppLike(Protocol):
    """What `results`, `execution`, `control` and the worker need of an app."""

    main: str | None

    @property
    def conf(self) -> Any: ...
    @property
    def tasks(self) -> Mapping[str, Any]: ...
    @property
    def backend(self) -> "ResultBackend": ...
    @property
    def asked_backend(self) -> "ResultBackend": ...
    @property
    def keeps_results(self) -> bool: ...
    @property
    def transport(self) -> "Transport": ...
    @property
    def read_transport(self) -> "Transport": ...
    @property
    def control(self) -> Any: ...
    @property
    def loader(self) -> Any: ...
    @property
    def clock(self) -> "LamportClock": ...
    @property
    def timezone(self) -> tzinfo: ...
    @property
    def GroupResult(self) -> Any:  # noqa: N802  (Celery's name)
        """The class of handles of groups, bound to this app."""
        ...

    run_hooks: Any
    """What the loader wants to be told of each run (`before`, `after`), or None."""

    def compose(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> "Outgoing":
        """A call as a message on its route; the options are those of `apply_async`."""
        ...

    def bugreport(self) -> str: ...
    def publish(self, batch: Sequence["Outgoing"]) -> None: ...
    def sent(self, batch: Sequence["Outgoing"]) -> None:
        """Say that these are on their way, to whoever listens: the worker has a run's follow-ups, and sends them."""
        ...

    def send_task(
        self, name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any: ...


_default_app: AppLike | None = None
_newest_app: AppLike | None = None
_fallback_app: AppLike | None = None
_make_fallback: Callable[[], AppLike] | None = None
_falling_back = threading.Lock()
_current_app: ContextVar[AppLike | None] = ContextVar("celery_rs_app", default=None)
_requests: ContextVar[tuple[Any, ...]] = ContextVar("celery_rs_requests", default=())


def set_default_app(app: AppLike) -> None:
    """Make `app` the one that threads without an app of their own use, whatever is made later."""
    global _default_app
    _default_app = app


def set_current_app(app: AppLike) -> None:
    """Make `app` the one of this thread, and of threads without one until another is made or a default is set."""
    global _newest_app
    _newest_app = app
    _current_app.set(app)


def set_fallback_app(make: Callable[[], AppLike]) -> None:
    """Say how to make the app that is used where nobody has made one."""
    global _make_fallback
    _make_fallback = make


def current_app() -> AppLike:
    """The app in use here.

    Raises ImproperlyConfigured when none has been made and C_STRICT_APP forbids the fallback.
    """
    return _current_app.get() or _default_app or _newest_app or _fall_back()


def _fall_back() -> AppLike:
    """Celery's default app; C_STRICT_APP makes using it an error, C_WARN_APP shows where it is used."""
    global _fallback_app
    if os.environ.get("C_STRICT_APP") or _make_fallback is None:
        raise ImproperlyConfigured("no app yet: make one with `app = Celery('proj')` first")
    if os.environ.get("C_WARN_APP"):
        traceback.print_stack()
    with _falling_back:
        if _fallback_app is None:
            _fallback_app = _make_fallback()
        return _fallback_app


@contextmanager
def using_app(app: AppLike) -> Iterator[None]:
    """Make `app` the current one inside the block."""
    token = _current_app.set(app)
    try:
        yield
    finally:
        _current_app.reset(token)


def current_request() -> Any | None:
    """The request of the task that runs here, or None."""
    stack = _requests.get()
    return stack[-1] if stack else None


def worker_request() -> Any | None:
    """The request that a worker runs here, be it that its task calls others inline; None outside a worker."""
    return next((request for request in reversed(_requests.get()) if not request.called_directly), None)


class running:  # noqa: N801  (used as `with running(request):`; a generator would cost each task three calls more)
    """Make `request` the current one inside the block."""

    __slots__ = ("_request", "_token")

    def __init__(self, request: Any) -> None:
        self._request = request

    def __enter__(self) -> None:
        self._token = _requests.set((*_requests.get(), self._request))

    def __exit__(self, *_: object) -> None:
        _requests.reset(self._token)


class RequestStack:
    """The requests that run here, innermost last, as Celery's `task.request_stack`."""

    @property
    def stack(self) -> list[Any]:
        return list(_requests.get())

    @property
    def top(self) -> Any | None:
        return current_request()

    def push(self, request: Any) -> None:
        """Make it the current one until `pop`."""
        _requests.set((*_requests.get(), request))

    def pop(self) -> Any | None:
        """Take the current one off; None when there is none."""
        stack = _requests.get()
        if not stack:
            return None
        _requests.set(stack[:-1])
        return stack[-1]

    def __len__(self) -> int:
        return len(_requests.get())
