"""Celery: the façade that users hold. It owns the settings, the tasks and the connections, and delegates the rest.

Nothing is read, connected or imported before it is needed. A forked child keeps the app and drops the connections: it
never closes what it inherited, because the parent still uses it.
"""

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast, overload

from celery_rs import canvas, context, signals
from celery_rs.app.amqp import Amqp
from celery_rs.app.asleep import is_asleep, lull, wake
from celery_rs.app.autodiscover import Packages, discover
from celery_rs.app.bugreport import as_text, report_of
from celery_rs.app.builtins import BUILTINS
from celery_rs.app.bulk import publish_many
from celery_rs.app.classes import LOGGING, PROGRAM, WORKER, resolve
from celery_rs.app.current import task_in_use
from celery_rs.app.declare import check_function, function_of, make_task, task_name, warn_of_misspelt, warn_of_twin
from celery_rs.app.fixups import DJANGO
from celery_rs.app.home import embedded_url, home_of_caller
from celery_rs.app.later import CONSTRUCTOR, SENDING, StepTable, refuse_attribute, refuse_given
from celery_rs.app.loaders import ALIASES, LOADER_VARIABLE, Loader, RunHooks, run_hooks
from celery_rs.app.processes import FLUSH_S, watch_over
from celery_rs.app.publisher import Publisher
from celery_rs.app.registry import TaskRegistry
from celery_rs.app.shared import Declaration, share, shared_with
from celery_rs.app.signatures import checker
from celery_rs.app.task import Task as TaskOf
from celery_rs.backends import Patience, ResultBackend, RetryingBackend, open_backend
from celery_rs.config import Purpose, Settings, broker_url, from_words, zone
from celery_rs.control import Connection, Control
from celery_rs.errors import AlwaysEagerIgnored, ImproperlyConfigured, NotFinalized
from celery_rs.events import Events
from celery_rs.results import AsyncResult, GroupResult, ResultSet
from celery_rs.signals import Signal
from celery_rs.transports import Outgoing, Transport, open_transport
from celery_rs.wire import LamportClock, Queue, new_id

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=TaskOf[..., Any])

_EMBEDDED = "sqlite://"


class Celery:
    """An application: `app = Celery("proj", broker="sqlite:///tasks.sqlite3", backend=...)`.

    `settings` are those of the table in `celery_rs.config`. Without a broker, messages and results go to the file
    `celery-rs.sqlite3` beside the module that makes the app. The `*_cls` attributes are classes or their paths, for
    subclasses to replace.
    """

    task_cls: Any = TaskOf
    loader_cls: Any = None
    registry_cls: Any = TaskRegistry
    control_cls: Any = Control
    events_cls: Any = Events
    log_cls: Any = LOGGING
    worker_cls: Any = WORKER
    builtin_fixups: Sequence[Any] = (DJANGO,)

    SYSTEM = os.uname().sysname
    IS_macOS = SYSTEM == "Darwin"
    IS_WINDOWS = False

    on_configure: Any = None
    on_after_configure: Any = None
    on_after_finalize: Any = None
    on_after_fork: Any = None

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: str | type[Any] | None = None,
        amqp: None = None,
        events: None = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Mapping[str, TaskOf[..., Any]] | str | None = None,
        broker: str | None = None,
        include: Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        config_source: Any = None,
        fixups: Sequence[Any] | None = None,
        task_cls: Any = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        config_source_silent: bool = False,
        **settings: Any,
    ) -> None:
        refuse_given("Celery", {"amqp": amqp, "events": events}, CONSTRUCTOR)
        given = {"broker_url": broker, "result_backend": backend, "include": include}
        named = {name: value for name, value in given.items() if value is not None}
        self.main = main
        self.set_as_current = set_as_current
        self.autofinalize = autofinalize
        self.namespace = namespace
        self.strict_typing = strict_typing
        self.finalized = False
        self.task_cls = task_cls or self.task_cls
        self.loader_cls = loader or self.loader_cls
        self.log_cls = log or self.log_cls
        self.user_options: dict[str, set[Any]] = {kind: set() for kind in ("worker", "beat", "events", "preload")}
        self.steps = StepTable()
        self.oid = new_id()
        self.run_hooks: RunHooks | None = None
        """What the loader wants to be told of each run, once the loader is there."""
        for name in ("on_configure", "on_after_configure", "on_after_finalize", "on_after_fork"):
            if getattr(self, name) is None:
                setattr(self, name, Signal(f"app.{name}"))
        self._home = home_of_caller()
        self._lock = threading.RLock()
        self._finalizing = False
        self._bound_at: int | None = None
        self._taken: set[str] = set()
        self._twins: set[str] = set()
        self._local = threading.local()
        self._loader: Any = None
        self._log: Any = None
        self._base: type[TaskOf[..., Any]] | None = None
        self._group_result: type[GroupResult] | None = None
        self._transport: Transport | None = None
        self._read_transport: Transport | None = None
        self._backend: ResultBackend | None = None
        self._keeps_results: tuple[int | None, bool] = (None, False)
        self._asked: tuple[ResultBackend, Patience, ResultBackend] | None = None
        """The result store, how patiently it is asked, and who does that: one, since who waits shares a thread."""
        self.conf = Settings({**(changes or {}), **named, **settings}, lock=self._lock)
        self.conf.on_first_reading(self._before_reading, self._after_reading)
        self.clock = LamportClock()
        self.events = resolve(self.events_cls, "events_cls")(self)
        self.control = resolve(control or self.control_cls, "control_cls")(self)
        self.amqp = Amqp(self)
        """Queues and routes, under Celery's names."""
        self.publisher = Publisher(self)
        self._tasks: TaskRegistry = resolve(self.registry_cls, "registry_cls")()
        for task in (resolve(tasks, "tasks") or {}).values():
            self.register_task(task)
        self.config_source = config_source
        if config_source is not None:
            self.config_from_object(config_source, silent=config_source_silent, namespace=namespace)
        self.fixups = list(self.builtin_fixups if fixups is None else fixups)
        self._fixups = [made for fixup in self.fixups if (made := resolve(fixup, "fixups")(self)) is not None]
        if set_as_current:
            self.set_current()
        watch_over(self)
        self.on_init()

    def on_init(self) -> None:
        """Called at the end of the constructor, for subclasses."""

    # settings

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Read settings from a mapping, a module, an object, or the dotted path of one, when they are first needed."""
        self.config_source = obj
        self.namespace = namespace or self.namespace
        self.conf.read_from(obj, namespace=self.namespace, silent=silent, force=force)

    def config_from_envvar(self, variable_name: str, silent: bool = False, force: bool = False) -> None:
        """Read settings from the module that an environment variable names."""
        path = os.environ.get(variable_name)
        if path:
            self.config_from_object(path, silent=silent, force=force)
        elif not silent:
            raise ImproperlyConfigured(f"the environment variable {variable_name!r} must name a module, and is not set")

    def config_from_cmdline(self, argv: Iterable[str], namespace: str = "celery") -> None:
        """Set what words of a command line say: `worker.concurrency=4`, `.concurrency=4`, `name=(type)value`."""
        self.conf.update(from_words(argv, namespace))

    def add_defaults(self, defaults: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        """Values for what nobody else sets; a function is called when settings are first read."""
        self.conf.add_defaults(defaults)

    def prepare_config(self, c: Any) -> Any:
        """Change what the source of settings says before it is read, for subclasses."""
        return c

    def either(self, default_key: str, *defaults: Any) -> Any:
        """The first value that is not None, else the setting."""
        given = next((value for value in defaults if value is not None), None)
        return self.conf[default_key] if given is None else given

    @property
    def configured(self) -> bool:
        """Whether the settings have been read."""
        return self.conf.was_read

    def _before_reading(self) -> None:
        self._tell("on_configure")
        if self.config_source is None:
            found = self.loader.read_configuration()
            if found is not None:
                self.conf.read_from(found, namespace=self.namespace)
        if type(self).prepare_config is not Celery.prepare_config:
            self.conf.prepare_source(self.prepare_config)

    def _after_reading(self) -> None:
        self._tell("on_after_configure", source=self.conf)

    def _tell(self, name: str, **said: Any) -> None:
        """Send a signal of the app's, or call the method that a subclass has instead."""
        listener = getattr(self, name)
        if not isinstance(listener, Signal):
            listener(**said)
        elif listener.receivers:
            listener.send(self, **said)

    # which app is meant

    def set_current(self) -> None:
        """Make this the app of this thread, and of threads that have none, until another is made."""
        context.set_current_app(self)

    def set_default(self) -> None:
        """Make this the app of threads that have none of their own, whatever is made later."""
        context.set_default_app(self)

    @property
    def current_task(self) -> Any:
        """The task that runs here, or None."""
        return task_in_use()

    @property
    def current_worker_task(self) -> Any:
        """The task that a worker runs here, be it that it calls others inline; None outside a worker."""
        request = context.worker_request()
        return None if request is None else self.tasks.get(request.task)

    @property
    def thread_oid(self) -> str:
        """An id of this app in this thread."""
        if not hasattr(self._local, "oid"):
            self._local.oid = new_id()
        return str(self._local.oid)

    # parts

    @property
    def Task(self) -> type[TaskOf[..., Any]]:  # noqa: N802  (Celery's name)
        """The class of this app's tasks."""
        if self._base is None:
            self._base = self.create_task_cls()
        return self._base

    @Task.setter
    def Task(self, task: type[TaskOf[..., Any]]) -> None:  # noqa: N802  (Celery's name)
        self._base = task

    def create_task_cls(self) -> type[TaskOf[..., Any]]:
        """A subclass of `task_cls` that belongs to this app."""
        made: type[TaskOf[..., Any]] = self.subclass_with_self(self.task_cls, name="Task", attribute="_app")
        return made

    def subclass_with_self(self, Class: Any, name: str | None = None, attribute: str = "app", **more: Any) -> Any:  # noqa: N803
        """A subclass that has this app as an attribute; `Class` may be a path."""
        base = resolve(Class, f"{name or attribute}_cls")
        attributes = {attribute: self, "__module__": base.__module__, "__doc__": base.__doc__, **more}
        return type(name or base.__name__, (base,), attributes)

    @property
    def loader(self) -> Any:
        """Where settings and task modules come from, and who is told of a worker's life."""
        if self._loader is None:
            kind = resolve(os.environ.get(LOADER_VARIABLE) or self.loader_cls or Loader, "loader", ALIASES)
            if not isinstance(kind, type) or not issubclass(kind, Loader):
                raise ImproperlyConfigured(f"loader: expected a subclass of celery_rs.app.Loader, got {kind!r}")
            self._loader = kind(self)
            self.run_hooks = run_hooks(self._loader)
        return self._loader

    @property
    def log(self) -> Any:
        """Logging of a worker."""
        if self._log is None:
            self._log = resolve(self.log_cls, "log_cls")(self)
        return self._log

    def Worker(self, **options: Any) -> Any:  # noqa: N802  (Celery's name)
        """A worker of this app; the options are those of `celery-rs worker`, with underscores."""
        return resolve(self.worker_cls, "worker_cls").of(self, **options)

    def start(self, argv: Sequence[str] | None = None) -> int:
        """Run the command line (`sys.argv` without `argv`) with this app.

        Returns 0, or raises SystemExit with another exit code.
        """
        arguments = list(sys.argv[1:] if argv is None else argv)
        try:
            resolve(PROGRAM, "the command line")(arguments, self)
        except SystemExit as ended:
            if ended.code:
                raise
        return 0

    def worker_main(self, argv: Sequence[str] | None = None) -> int:
        """Run the worker: `app.worker_main(["worker", "-l", "info"])`. Raises ValueError without that word."""
        arguments = list(sys.argv[1:] if argv is None else argv)
        if "worker" not in arguments:
            raise ValueError(f"worker_main expects the word 'worker' among its arguments, got {arguments!r}; see start")
        return self.start(arguments)

    # time

    @property
    def timezone(self) -> tzinfo:
        """The zone of the settings: UTC unless it says otherwise, the local one without enable_utc."""
        name = self.conf["timezone"]
        if name:
            return zone(name)
        return UTC if self.conf["enable_utc"] else datetime.now().astimezone().tzinfo or UTC

    def now(self) -> datetime:
        """The present moment in the app's zone."""
        moment: datetime = self.loader.now(utc=True)
        return moment.astimezone(self.timezone)

    def uses_utc_timezone(self) -> bool:
        return self.conf["timezone"] in ("UTC", "Etc/UTC") or (not self.conf["timezone"] and self.conf["enable_utc"])

    # tasks

    @property
    def tasks(self) -> TaskRegistry:
        """Every task by name, bound to this app."""
        if self._bound_at != self.conf.version or self._tasks.changed:
            self.finalize(auto=True)
            self._bind_all()
        return self._tasks

    def declared(self, name: str) -> TaskOf[..., Any] | None:
        """The task of that name, bound, or None; also while the app must not be finalized."""
        if not self.finalized:
            if not self.autofinalize:
                return None
            self.finalize(auto=True)
        task: TaskOf[..., Any] | None = self._tasks.get(name)
        if task is not None:
            self._bind(task)
        return task

    @overload
    def task(self, function: Callable[P, R], /) -> TaskOf[P, R]: ...
    @overload
    def task(
        self, *, bind: Literal[True], **options: Any
    ) -> Callable[[Callable[Concatenate[Any, P], R]], TaskOf[P, R]]: ...
    @overload
    def task(self, *, bind: Literal[False] = False, **options: Any) -> Callable[[Callable[P, R]], TaskOf[P, R]]: ...
    def task(self, *function: Callable[..., Any], **options: Any) -> Any:
        """Make a task of a function: `@app.task`, or `@app.task(bind=True, max_retries=5, ...)`."""
        if len(function) > 1:
            raise TypeError(f"@app.task expects one function, got {len(function)}; options are keywords")
        if function:
            return self._declare(function[0], options)
        return lambda function: self._declare(function, options)

    @overload
    def register_task(self, task: type[T], **options: Any) -> T: ...
    @overload
    def register_task(self, task: T, **options: Any) -> T: ...
    def register_task(self, task: Any, **options: Any) -> Any:
        """Add a task made of a class; one of the same name is replaced, with a warning."""
        made: TaskOf[..., Any] = task() if isinstance(task, type) else task
        made.__dict__.update(options)
        if not made.name:
            kind: Any = type(made)
            made.name = self.gen_task_name(kind.__name__, kind.__module__)
        name = made.name
        known = self._tasks.get(name)
        if known is not None and known is not made and name not in self._taken:
            self._warn_of_twin(name, "the last one")
        self._add(made, lazy=True)
        return made

    def gen_task_name(self, name: str, module: str) -> str:
        """The name of a task that is given none, for subclasses to change."""
        return task_name(self.main, name, module)

    def type_checker(self, fun: Callable[..., Any], bound: bool = False) -> Any:
        """A function that raises TypeError for arguments that `fun` would refuse; None when that cannot be known."""
        return checker(fun, bound=bound)

    def take(self, declaration: Declaration) -> None:
        """Add a shared task, unless there is one of its name."""
        function, options = declaration
        name = options.get("name") or self.gen_task_name(function.__name__, function.__module__)
        if name not in self._tasks:
            self._taken.add(name)
            self._add(make_task(function, name, options.get("base") or self.Task, options), lazy=True)

    def _declare(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        check_function(function)
        name = options.get("name") or self.gen_task_name(function.__name__, function.__module__)
        base = options.get("base") or self.Task
        lazy = bool(options.get("lazy", True))
        task: TaskOf[..., Any] | None = self._tasks.get(name) if isinstance(name, str) else None
        if task is None or name in self._taken:
            task = make_task(function, name, base, options)
            warn_of_misspelt(options, base, name)
            self._taken.discard(name)
            if options.get("shared", True):
                share(function, options)
            self._add(task, lazy=lazy)
        elif function_of(task) is not function:
            self._warn_of_twin(name, "the first function")
        return options["filter"](task) if options.get("filter") else task

    def _warn_of_twin(self, name: str, kept: str) -> None:
        if name not in self._twins:
            self._twins.add(name)
            warn_of_twin(name, kept)

    def _add(self, task: TaskOf[..., Any], *, lazy: bool) -> None:
        if not self.strict_typing and not any("typing" in kind.__dict__ for kind in _below_task(type(task))):
            task.typing = False
        task.validate()
        task.adopt(self)
        name = task.name
        self._tasks.register(task)
        self.publisher.forget(name)
        lull(task)
        if not lazy:
            if not self.finalized and not self.autofinalize:
                raise _not_finalized(self)
            self._bind(task)

    # finalizing

    def finalize(self, auto: bool = False) -> None:
        """Take the built-in and the shared tasks, and bind all of them to the settings; once.

        `auto` is for a first use, which `autofinalize=False` forbids: raises NotFinalized.
        """
        with self._lock:
            if self.finalized or self._finalizing:
                return
            if auto and not self.autofinalize:
                raise _not_finalized(self)
            self._finalizing = True
            try:
                for declaration in (*BUILTINS, *shared_with(self)):
                    self.take(declaration)
                self._bind_all()
            finally:
                self._finalizing = False
            self.finalized = True
        self._tell("on_after_finalize")

    def ready_for(self, task: TaskOf[..., Any]) -> None:
        """A sleeping task is used for the first time. Raises NotFinalized, or what is wrong with the settings."""
        with self._lock:
            self.finalize(auto=True)
            self._bind(task)

    def _bind_all(self) -> None:
        with self._lock:
            version = self.conf.version
            self._tasks.changed = False
            for task in list(self._tasks.values()):
                self._bind(task)
            self._bound_at = version

    def _bind(self, task: TaskOf[..., Any]) -> None:
        asleep = is_asleep(task)
        wake(task)
        try:
            task.bind(self)
        except BaseException:
            task.adopt(self)  # as if it had never been tried
            if asleep:
                lull(task)
            raise
        if asleep:
            self.publisher.forget(task.name)

    # task modules

    def autodiscover_tasks(
        self, packages: Packages = None, related_name: str | None = "tasks", force: bool = False
    ) -> None:
        """Import `related_name` of each package when the worker imports its task modules; now with `force`.

        `packages` may be a function; None asks the fixups; without `related_name` the packages themselves are
        imported. A module that is missing is no error; an error inside one is.
        """
        if force:
            self._discover(packages, related_name)
            return

        def import_modules(**_: Any) -> Exception | None:
            try:
                self._discover(packages, related_name)
            except Exception as error:  # noqa: BLE001  (an import may raise anything)
                # Raised again by the loader: a signal would only log it.
                return error
            return None

        signals.import_modules.connect(import_modules, sender=self, weak=False)

    def _discover(self, packages: Packages, related_name: str | None) -> None:
        modules = discover(packages, related_name, self._fixups)
        self.loader.task_modules.update(module.__name__ for module in modules)

    # calling

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        result_cls: Any = None,
        add_to_parent: bool = True,
        retry: bool | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Call a task by name, which this process need not know; the options are those of `Task.apply_async`."""
        if not SENDING.keys().isdisjoint(options):
            refuse_given("send_task", options, SENDING)
            options = {option: value for option, value in options.items() if option not in SENDING}
        if self.publisher.eager:
            warnings.warn(
                f"task_always_eager is on, and send_task sends {name!r} to a worker all the same; call the task itself",
                AlwaysEagerIgnored,
                stacklevel=2,
            )
        result = self.publisher.send(
            name,
            () if args is None else args,
            {} if kwargs is None else kwargs,
            options,
            add_to_parent=add_to_parent,
            retry=retry,
            retry_policy=retry_policy,
        )
        if result_cls is None:
            return result
        other: AsyncResult[Any] = result_cls(result.id, app=self)
        return other

    def publish_many(self, calls: Iterable[Any], **options: Any) -> list[AsyncResult[Any]]:
        """Send many calls in a few trips to the broker; their results, in the order of the calls.

        A call is a signature, `add.s(2, 2)`, or (task or its name, args, kwargs, options), of which what stands at the
        end may be left out. Each means what its `apply_async` would: routes, ids, options, signals, ETA and expiry; the
        options given here are those of every call. Raises what that raises, with nothing sent, for any call that makes
        no sense. Then they go by the thousand, each thousand as a whole; when the broker fails, NotAllPublished says
        how far it came. Takes about a KB of memory for each call.
        """
        return publish_many(self, calls, options)

    def compose(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> Outgoing:
        """A call as a message on its route, not sent."""
        return self.publisher.compose(task, args, kwargs, options)

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Send composed messages, all or none. Raises OperationalError."""
        self.publisher.publish(batch)

    def sent(self, batch: Sequence[Outgoing]) -> None:
        """Fire after_task_publish for messages that somebody else sends."""
        self.publisher.tell(batch)

    def ResultSet(self, results: Iterable[AsyncResult[Any]], **options: Any) -> ResultSet:  # noqa: N802  (Celery's name)
        """Some results, to be waited for together."""
        return ResultSet(results, app=self, **options)

    @property
    def GroupResult(self) -> type[GroupResult]:  # noqa: N802  (Celery's name)
        """The class of handles of groups, for this app: `app.GroupResult.restore(id)`."""
        made = self._group_result
        if made is None:
            made = self._group_result = self.subclass_with_self(GroupResult, attribute="bound_app")
        return made

    def AsyncResult(self, id: str, **options: Any) -> AsyncResult[Any]:  # noqa: N802  (Celery's name)
        """The handle of a result by its id."""
        return AsyncResult(id, app=self, **options)

    def signature(self, *args: Any, **kwargs: Any) -> canvas.Signature[Any]:
        """A call that is written down, for this app: of a task, a name or a dict."""
        return canvas.signature(*args, app=self, **kwargs)

    def select_queues(self, queues: Sequence[str] | str | None = None) -> None:
        """Let workers of this app consume from these queues only, unless they are told others."""
        self.amqp.queues.select(queues)

    def queues(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Sequence[Queue]:
        """The configured queues, or those named in `include`; without those in `exclude`."""
        return self.amqp.queues.chosen(include, exclude)

    # connections

    @property
    def broker_url(self) -> str:
        """Where messages go: what the settings name, else the embedded broker's file by its absolute path."""
        return self._broker("write")

    @property
    def broker_read_url(self) -> str:
        """Where workers take messages from."""
        return self._broker("read")

    def _broker(self, purpose: Purpose) -> str:
        url = broker_url(self.conf, purpose)
        return embedded_url(self._home) if url is None or url == _EMBEDDED else url

    @property
    def backend_url(self) -> str | None:
        """Where results go; None when they are not kept."""
        url = self.conf.result_backend
        if url is None:
            return self.broker_url if broker_url(self.conf, "write") is None else None
        return embedded_url(self._home) if url == _EMBEDDED else url

    @property
    def keeps_results(self) -> bool:
        """Whether there is a result store at all: nobody writes records for none. Opens nothing."""
        version = self.conf.version
        if self._keeps_results[0] != version:
            url = self.backend_url
            self._keeps_results = (version, url is not None and not url.startswith("disabled"))
        return self._keeps_results[1]

    @property
    def transport(self) -> Transport:
        """The broker, opened at first use. Raises ImproperlyConfigured for a URL that makes no sense."""
        transport = self._transport
        if transport is None:
            with self._lock:
                transport = self._transport
                if transport is None:
                    transport = self._transport = self._open_transport(self.broker_url)
        return transport

    @property
    def read_transport(self) -> Transport:
        """The broker that workers take messages from, opened at first use; mostly the same."""
        if self.broker_read_url == self.broker_url:
            return self.transport
        with self._lock:
            if self._read_transport is None:
                self._read_transport = self._open_transport(self.broker_read_url)
            return self._read_transport

    def _open_transport(self, url: str) -> Transport:
        conf = self.conf
        return open_transport(
            url,
            conf.broker_transport_options,
            use_ssl=conf.broker_use_ssl,
            connect_timeout=conf.broker_connection_timeout,
            failover=conf.broker_failover_strategy,
            queue_of=lambda name: self.publisher.router.queue(name),
            amqp={
                "heartbeat": conf.broker_heartbeat or 0,
                "heartbeat_checkrate": conf.broker_heartbeat_checkrate,
                "login_method": conf.broker_login_method,
                "native_delayed_delivery_queue_type": conf.broker_native_delayed_delivery_queue_type,
            },
        )

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
                        failure_expires=self.conf.result_failure_expires,
                        overrides=self.conf.override_backends or self.loader.override_backends,
                        settings=self.conf,
                        app=self,
                        transport=lambda: self.transport,
                        oid=lambda: self.oid,
                    )
        return backend

    @property
    def asked_backend(self) -> ResultBackend:
        """The result store as clients ask it: again when it fails, if the settings say so."""
        conf = self.conf
        if not conf["result_backend_always_retry"]:
            return self.backend
        store = self.backend
        patience = Patience(
            conf["result_backend_max_retries"],
            conf["result_backend_base_sleep_between_retries_ms"] / 1000,
            conf["result_backend_max_sleep_between_retries_ms"] / 1000,
        )
        known = self._asked
        if known is None or known[:2] != (store, patience):
            # It has the rest of the interface by delegation, which types do not see.
            known = self._asked = (store, patience, cast(ResultBackend, RetryingBackend(store, patience)))
        return known[2]

    def connection_for_read(self) -> Connection:
        """The broker that workers take messages from, to be passed on; it is the app's, and stays open."""
        return Connection(lambda: self.read_transport)

    def connection_for_write(self) -> Connection:
        """The same of the one that calls are written to."""
        return Connection(lambda: self.transport)

    connection = connection_for_write

    @contextmanager
    def connection_or_acquire(self, connection: Any = None, pool: bool = True) -> Iterator[Any]:
        """The connection that is given, else the app's."""
        yield connection or self.connection_for_write()

    default_connection = connection_or_acquire

    def flush(self, seconds: float) -> None:
        """Wait at most so long for what was published to be confirmed."""
        if self._transport is not None:
            self._transport.flush(seconds)

    def close(self) -> None:
        """Wait for what was published, then close the connections; the next use opens them again."""
        with self._lock:
            transport, self._transport = self._transport, None
            reading, self._read_transport = self._read_transport, None
            backend, self._backend = self._backend, None
            self._asked = None
        if transport is not None:
            transport.flush(FLUSH_S)
        if backend is not None:
            backend.close()
        if transport is not None:
            transport.close()
        if reading is not None:
            reading.close()

    def after_fork(self) -> None:
        """In the child: forget the parent's connections, which must not be closed from here."""
        self._lock = threading.RLock()
        self.conf.after_fork(self._lock)
        self._local = threading.local()
        self.clock = LamportClock(self.clock.value)  # a thread of the parent may have held the other's lock
        self.oid = new_id()
        transport, self._transport = self._transport, None
        reading, self._read_transport = self._read_transport, None
        backend, self._backend = self._backend, None
        self._asked = None
        for connection in (transport, reading, backend):
            if connection is not None:
                connection.after_fork()
        self.publisher.after_fork()
        self._tell("on_after_fork")

    # what it is

    def bugreport(self) -> str:
        """What somebody must know to help, as `celery-rs report` prints it; no secret is in it."""
        return as_text(report_of(self))

    def __enter__(self) -> "Celery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        refuse_attribute(self, name)

    def __reduce__(self) -> Any:
        return _made_again, (type(self), self._home, self.__reduce_keys__())

    def __reduce_keys__(self) -> dict[str, Any]:
        """What the constructor is given where a pickle of this app is read: its changes, not what it has read."""
        return {
            "main": self.main,
            "loader": self.loader_cls,
            "changes": self.conf.changes,
            "config_source": self.config_source,
            "fixups": self.fixups,
            "task_cls": self.task_cls,
            "autofinalize": self.autofinalize,
            "namespace": self.namespace,
            "strict_typing": self.strict_typing,
            "set_as_current": False,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.main or '__main__'} at {id(self):#x}>"


def _not_finalized(app: Celery) -> NotFinalized:
    return NotFinalized(f"{app!r} has autofinalize=False; call its finalize() before its tasks are used")


def _below_task(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if issubclass(base, TaskOf) and base is not TaskOf]


def _made_again(kind: type[Celery], home: str, given: dict[str, Any]) -> Celery:
    app = kind(**given)
    app._home = home
    return app


def _fallback() -> Celery:
    """The app of a program that makes none: it has the settings of `celeryconfig`."""
    app = Celery("default", loader="default", set_as_current=False)
    app._home = os.getcwd()
    return app


context.set_fallback_app(_fallback)
