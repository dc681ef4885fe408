"""Who am I: the current app and the request that runs now.

The app is a process-wide default with a per-context override; the request stack is per context, so that threads
and coroutines do not see each other's. The protocols say what lower rooms need of an app, so that `results`
and `execution` never import `app`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from celery_rs.errors import ImproperlyConfigured

if TYPE_CHECKING:
    from celery_rs.backends import ResultBackend
    from celery_rs.transports import Outgoing, Transport


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
    def transport(self) -> "Transport": ...
    def compose(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> "Outgoing":
        """A call as a message on its route; the options are those of `apply_async`."""
        ...

    def publish(self, batch: Sequence["Outgoing"]) -> None: ...


_default_app: AppLike | None = None
_current_app: ContextVar[AppLike | None] = ContextVar("celery_rs_app", default=None)
_requests: ContextVar[tuple[Any, ...]] = ContextVar("celery_rs_requests", default=())


def set_default_app(app: AppLike) -> None:
    """Make `app` the one that code without an app of its own uses, in every thread."""
    global _default_app
    _default_app = app


def current_app() -> AppLike:
    """The app in use here. Raises ImproperlyConfigured when none has been made."""
    app = _current_app.get() or _default_app
    if app is None:
        raise ImproperlyConfigured("no app yet: make one with `app = Celery('proj')` first")
    return app


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


@contextmanager
def running(request: Any) -> Iterator[None]:
    """Make `request` the current one inside the block."""
    token = _requests.set((*_requests.get(), request))
    try:
        yield
    finally:
        _requests.reset(token)
