"""Celery: the façade that users hold. It owns the settings, the tasks and the connections, and delegates the rest.

Nothing is read, connected or imported before it is needed. A forked child keeps the app and drops the connections: it
never closes what it inherited, because the parent still uses it.
"""

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from celery_rs import context
from celery_rs.app.declare import make_task, warn_of_twin
from celery_rs.app.publisher import Publisher, new_id
from celery_rs.app.registry import TaskRegistry
from celery_rs.app.task import Task
from celery_rs.backends import ResultBackend, open_backend
from celery_rs.config import Settings
from celery_rs.context import current_request
from celery_rs.control import Control
from celery_rs.errors import ImproperlyConfigured
from celery_rs.results import AsyncResult
from celery_rs.transports import Outgoing, Transport, open_transport
from celery_rs.wire import Queue

P = ParamSpec("P")
R = TypeVar("R")

FLUSH_S = 5.0
"""How long a process that ends waits for what it has published to be confirmed."""

_DEFAULT_FILE = "celery-rs.sqlite3"
_EMBEDDED = "sqlite://"


class Celery:
    """An application: `app = Celery("proj", broker="sqlite:///tasks.sqlite3", backend=...)`.

    `settings` are those of the table in `celery_rs.config`. Without a broker, messages and results go to the file
    `celery-rs.sqlite3` beside the module that makes the app.
    """

    def __init__(
        self,
        main: str | None = None,
        *,
        broker: str | None = None,
        backend: str | None = None,
        include: Sequence[str] | None = None,
        config_source: Any = None,
        namespace: str | None = None,
        set_as_current: bool = True,
        task_cls: type[Task[..., Any]] | None = None,
        **settings: Any,
    ) -> None:
        given = {"broker_url": broker, "result_backend": backend, "include": include}
        self.main = main
        self.conf = Settings({name: value for name, value in given.items() if value is not None} | settings)
        self.Task: type[Task[..., Any]] = task_cls or Task
        self.oid = new_id()
        self.control = Control(self)
        self._home = _home_of_caller()
        self._tasks = TaskRegistry()
        self._bound_at: int | None = None
        self._publisher = Publisher(self)
        self._lock = threading.RLock()
        self._transport: Transport | None = None
        self._backend: ResultBackend | None = None
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        if set_as_current:
            self.set_default()
        _apps.add(self)

    # settings

    def config_from_object(
        self, source: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Read settings from a mapping, a module, an object, or the dotted path of one, when they are first needed."""
        self.conf.read_from(source, namespace=namespace, silent=silent, force=force)

    def config_from_envvar(self, variable: str, silent: bool = False, force: bool = False) -> None:
        """Read settings from the module that an environment variable names."""
        path = os.environ.get(variable)
        if path:
            self.config_from_object(path, silent=silent, force=force)
        elif not silent:
            raise ImproperlyConfigured(f"the environment variable {variable!r} must name a module, and is not set")

    def set_default(self) -> None:
        """Make this the app of code that has none of its own, in every thread."""
        context.set_default_app(self)

    # tasks

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """Every task by name, bound to this app."""
        if self._bound_at != self.conf.version:
            for task in list(self._tasks.values()):
                task.bind(self)
            self._bound_at = self.conf.version
        return self._tasks

    def declared(self, name: str) -> Task[..., Any] | None:
        """The task of that name, bound, or None."""
        task: Task[..., Any] | None = self._tasks.get(name)
        if task is not None:
            task.bind(self)
        return task

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self, *, bind: Literal[True], **options: Any
    ) -> Callable[[Callable[Concatenate[Any, P], R]], Task[P, R]]: ...
    @overload
    def task(self, *, bind: Literal[False] = False, **options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    def task(self, *function: Callable[..., Any], bind: bool = False, **options: Any) -> Any:
        """Make a task of a function: `@app.task`, or `@app.task(bind=True, max_retries=5, ...)`."""
        options["bind"] = bind
        if function:
            return self._declare(function[0], options)
        return lambda function: self._declare(function, options)

    def register_task(self, task: Task[..., Any] | type[Task[..., Any]], **options: Any) -> Task[..., Any]:
        """Add a task made of a class; one of the same name is replaced."""
        made: Task[..., Any] = task() if isinstance(task, type) else task
        made.__dict__.update(options)
        if not made.name:
            kind = type(made)
            made.name = (
                f"{self.main if kind.__module__ == '__main__' and self.main else kind.__module__}.{kind.__qualname__}"
            )
        self._add(made)
        return made

    def _declare(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Task[..., Any]:
        task = make_task(function, self.main, {"base": self.Task, **options})
        known: Task[..., Any] | None = self._tasks.get(task.name)
        if known is not None:
            warn_of_twin(known, function)
            return known
        self._add(task)
        return task

    def _add(self, task: Task[..., Any]) -> None:
        task.validate()
        task.adopt(self)
        self._tasks.register(task)
        self._bound_at = None
        self._publisher.forget(task.name)

    # calling

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        add_to_parent: bool = True,
        retry: bool | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Call a task by name, which this process need not know; the options are those of `Task.apply_async`."""
        outgoing = self._publisher.compose(
            name, () if args is None else args, {} if kwargs is None else kwargs, options
        )
        self._publisher.publish((outgoing,), retry, retry_policy)
        message = outgoing.message
        if add_to_parent:
            request = current_request()
            if request is not None:
                request.children.append(message.id)
        return AsyncResult(message.id, app=self, task_name=name, ignored=bool(message.ignore_result))

    def compose(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> Outgoing:
        """A call as a message on its route, not sent."""
        return self._publisher.compose(task, args, kwargs, options)

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Send composed messages, all or none. Raises OperationalError."""
        self._publisher.publish(batch)

    def AsyncResult(self, id: str) -> AsyncResult[Any]:  # noqa: N802  (Celery's name)
        return AsyncResult(id, app=self)

    def queues(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Sequence[Queue]:
        """The configured queues, or those named in `include`; without those in `exclude`."""
        return self._publisher.router.queues(include, exclude)

    # connections

    @property
    def broker_url(self) -> str:
        """Where messages go: the setting, else the embedded broker's file by its absolute path."""
        url = self.conf.broker_url
        return self._embedded_url() if url is None or url == _EMBEDDED else url

    @property
    def backend_url(self) -> str | None:
        """Where results go; None when they are not kept."""
        url = self.conf.result_backend
        if url is None:
            return self.broker_url if self.conf.broker_url is None else None
        return self._embedded_url() if url == _EMBEDDED else url

    @property
    def transport(self) -> Transport:
        """The broker, opened at first use. Raises ImproperlyConfigured for a URL that makes no sense."""
        transport = self._transport
        if transport is None:
            with self._lock:
                transport = self._transport
                if transport is None:
                    transport = self._transport = open_transport(self.broker_url, self.conf.broker_transport_options)
        return transport

    @property
    def backend(self) -> ResultBackend:
        """The result store, opened at first use."""
        backend = self._backend
        if backend is None:
            with self._lock:
                backend = self._backend
                if backend is None:
                    backend = self._backend = open_backend(
                        self.backend_url,
                        self.conf.result_backend_transport_options,
                        expires=self.conf.result_expires,
                    )
        return backend

    def close(self) -> None:
        """Wait for what was published, then close the connections; the next use opens them again."""
        with self._lock:
            transport, self._transport = self._transport, None
            backend, self._backend = self._backend, None
        if transport is not None:
            transport.flush(FLUSH_S)
            transport.close()
        if backend is not None:
            backend.close()

    def __enter__(self) -> "Celery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Celery {self.main or '__main__'} at {id(self):#x}>"

    def _embedded_url(self) -> str:
        path = os.path.join(self._home, _DEFAULT_FILE)
        return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")

    def _after_fork(self) -> None:
        """In the child: forget the parent's connections, which must not be closed from here."""
        self._lock = threading.RLock()
        transport, self._transport = self._transport, None
        backend, self._backend = self._backend, None
        for connection in (transport, backend):
            if connection is not None:
                connection.after_fork()
        self._publisher.after_fork()


_apps: "weakref.WeakSet[Celery]" = weakref.WeakSet()


def _home_of_caller() -> str:
    """The directory of the module that makes an app; the working directory where there is no file (a REPL)."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        __package__.partition(".")[0] + "."
    ):
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()


def _after_fork_in_child() -> None:
    for app in list(_apps):
        app._after_fork()


def _flush_at_exit() -> None:
    for app in list(_apps):
        if app._transport is not None:
            app._transport.flush(FLUSH_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_flush_at_exit)
