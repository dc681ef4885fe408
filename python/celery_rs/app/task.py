"""Task: what `@app.task` makes of a function, and what users subclass.

Options that are None here come from the settings when the task is bound to its app, at its first use. A task is one
object per process; what differs between its runs is in `self.request`.
"""

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, cast

from celery_rs import errors
from celery_rs._core import seal_envelopes
from celery_rs.app.annotations import attributes_of
from celery_rs.app.declaration import FROM_SETTINGS, check_declaration
from celery_rs.app.options import check_call
from celery_rs.app.signatures import Checker, checker
from celery_rs.canvas import Signature, embedded, maybe_signature
from celery_rs.context import RequestStack, current_app, current_request, running
from celery_rs.errors import Ignore, ImproperlyConfigured, NotSupported, Retry
from celery_rs.execution import (
    BACKOFF_MAX,
    RETRY_DELAY,
    Said,
    apply,
    does_nothing,
    invented_id,
    is_spent,
    printable,
)
from celery_rs.execution import Request as Context
from celery_rs.results import AsyncResult, EagerResult, denied_join_result
from celery_rs.serializers import serializer
from celery_rs.wire import ResultCodec, TaskResult, encode_meta, new_id

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    from celery_rs.app.app import Celery

    # Defaults, so that a subclass may be written `class MyTask(Task)` in strictly checked programs
    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


class Task(Generic[P, R]):
    """Subclass it for tasks with state or hooks of their own: `@app.task(base=MyTask)`, or define `run`."""

    name: str = ""
    typing: bool = True
    max_retries: int | None = 3
    default_retry_delay: float = RETRY_DELAY
    rate_limit: str | float | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    ignore_result: bool | None = None
    store_errors_even_if_ignored: bool | None = None
    store_eager_result: bool | None = None
    trail: bool = True
    send_events: bool = True
    serializer: str | None = None
    compression: str | None = None
    track_started: bool | None = None
    acks_late: bool | None = None
    acks_on_failure_or_timeout: bool | None = None
    acks_on_failure: bool | None = None
    acks_on_timeout: bool | None = None
    reject_on_worker_lost: bool | None = None
    retry_on_worker_lost: bool | None = None
    throws: tuple[type[BaseException], ...] = ()
    expires: float | datetime | None = None
    priority: int | None = None
    resultrepr_maxsize: int = 1024
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    delivery_mode: int | None = None
    autoretry_for: Sequence[type[BaseException]] = ()
    dont_autoretry_for: Sequence[type[BaseException]] = ()
    retry_kwargs: Mapping[str, Any] | None = None
    retry_backoff: float | bool = False
    retry_backoff_max: float = BACKOFF_MAX
    retry_jitter: bool = True
    abstract: bool = True
    autoregister: bool = True
    Strategy: Any = None
    Request: Any = None

    from_config: ClassVar[tuple[tuple[str, str], ...]] = tuple(FROM_SETTINGS.items())
    """(attribute, setting): what a task leaves open is what the setting says; subclasses may add their own."""
    request_stack: ClassVar[RequestStack] = RequestStack()
    MaxRetriesExceededError: ClassVar[Any] = errors.MaxRetriesExceededError
    OperationalError: ClassVar[type[Exception]] = errors.OperationalError

    _app: "Celery | None" = None
    _settings_version: int | None = None
    _from_settings: Mapping[str, Any] = {}
    _checker: "Checker | None" = None

    @property
    def body(self) -> Callable[..., Any]:
        """What a worker calls: `run`, or the whole task where a subclass has its own `__call__`."""
        return self.run if type(self).__call__ is Task.__call__ else self

    # running

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The task itself."""
        raise TypeError(f"task {self.name!r} has no body: define `run`")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run here and now, as a plain function does."""
        request = current_request()
        if request is not None and request.enter(self.name):
            # The executor called a subclass's own __call__, which has now come back to us.
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]  # run is the user's
        with running(Context(task=self.name, args=args, kwargs=kwargs)):
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]  # `run` is the user's

    @property
    def request(self) -> Context:
        """The run that is going on; outside of one, an empty request with `called_directly`."""
        request = current_request()
        if request is None:
            return Context(task=self.name)
        if request.task is None or request.task == self.name:
            return cast("Context", request)
        mine = (outer for outer in reversed(self.request_stack.stack) if outer.task == self.name)
        return next(mine, None) or Context(task=self.name)

    def push_request(self, *args: Any, **values: Any) -> None:
        """Make a request of these values the current one, until `pop_request`; for tests of tasks."""
        self.request_stack.push(Context(**{"task": self.name, **dict(*args, **values)}))

    def pop_request(self) -> Any:
        """End what `push_request` began."""
        return self.request_stack.pop()

    @property
    def app(self) -> "Celery":
        if self._app is None:
            raise ImproperlyConfigured(f"task {self.name!r} belongs to no app; make it with app.register_task")
        return self._app

    @property
    def backend(self) -> Any:
        return self.app.backend

    # calling

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Send a call with these arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        *,
        add_to_parent: bool = True,
        retry: bool | None = None,
        retry_policy: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """Send a call: `countdown`, `eta`, `expires`, `queue`, `priority`, `headers`, `time_limit`, ...

        `link` and `link_error` are signatures to be called when the task has succeeded or failed. Raises TypeError for
        arguments that the task would refuse and for an unknown option, OperationalError when the broker cannot be
        reached. With `task_always_eager` the task runs here and now.
        """
        args = () if args is None else args
        kwargs = {} if kwargs is None else kwargs
        publisher = self.app.publisher
        if self.typing:
            self.check_arguments(args, kwargs)
        if publisher.eager:
            return self._apply_eagerly(args, kwargs, task_id=task_id, link=link, link_error=link_error, **options)
        if task_id is not None:
            options["task_id"] = task_id
        if link is not None:
            options["link"] = link
        if link_error is not None:
            options["link_error"] = link_error
        if producer is not None:
            options["producer"] = producer
        shadow = shadow or self.shadow_name(args, kwargs, options)
        if shadow is not None:
            options["shadow"] = shadow
        return publisher.send(
            self.name, args, kwargs, options, add_to_parent=add_to_parent, retry=retry, retry_policy=retry_policy
        )

    def publish_many(self, arguments: Iterable[Sequence[Any]], **options: Any) -> list[AsyncResult[R]]:
        """Send a call for each of `arguments`, which are tuples, in a few trips: see `Celery.publish_many`.

        `add.publish_many([(1, 1), (2, 2)], countdown=10)`; the options hold for all of them.
        """
        return self.app.publish_many(((self, args) for args in arguments), **options)

    def complete(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options of a call with what the task itself says to it.

        Raises TypeError for arguments that it would refuse.
        """
        if self.typing:
            self.check_arguments(args, kwargs)
        if options.get("shadow"):
            return options
        shadow = self.shadow_name(args, kwargs, options)
        return options if shadow is None else {**options, "shadow": shadow}

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        link: Any = None,
        link_error: Any = None,
        task_id: str | None = None,
        retries: int | None = None,
        throw: bool | None = None,
        logfile: str | None = None,
        loglevel: int | None = None,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> EagerResult[R]:
        """Run the task here and now, as a worker would, with its hooks, signals and retries.

        `throw` raises what the task raises (`task_eager_propagates` without it). Options that only concern a message
        are accepted and mean nothing.
        """
        app = self.app
        where = {name: options.get(name) for name in ("exchange", "routing_key", "priority")}
        return apply(
            app,
            self,
            () if args is None else args,
            {} if kwargs is None else kwargs,
            id=task_id or new_id(),
            throw=app.conf.task_eager_propagates if throw is None else throw,
            retries=retries or 0,
            logfile=logfile,
            loglevel=loglevel or 0,
            headers=dict(headers or {}),
            callbacks=embedded(link, "link"),
            errbacks=embedded(link_error, "link_error"),
            ignore_result=options.get("ignore_result"),
            delivery_info={"is_eager": True, **where},
        )

    def _apply_eagerly(self, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> EagerResult[R]:
        """Instead of sending. The arguments are written and read again, so that what cannot travel shows at once."""
        check_call(options)
        writer = serializer(options.get("serializer") or self.serializer or "json")
        args, kwargs = writer.loads(writer.dumps(args, "args")), writer.loads(writer.dumps(kwargs, "kwargs"))
        with denied_join_result():
            return self.apply(args, kwargs, **options)

    def shadow_name(self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> str | None:
        """A name for logs, for subclasses and the option of the decorator; None keeps the task's own."""
        return None

    # as a signature

    def signature(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature[R]:
        """A call written down: `task.signature((2, 2), countdown=10)`; the options are those of `apply_async`."""
        immutable = bool(options.pop("immutable", False))
        given = options.pop("options", None) or {}
        return Signature(self, args, kwargs, {**given, **options}, immutable=immutable, app=self._app)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """`task.s(2)`: a call written down, some of whose arguments may come later."""
        return Signature.of_task(self, self._app, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """The same, immutable: it takes no arguments that come later."""
        return Signature.of_task(self, self._app, args, kwargs, immutable=True)

    def chunks(self, it: Any, n: int) -> NoReturn:
        raise NotSupported("task.chunks", "send a call for each part of the list")

    def map(self, it: Any) -> NoReturn:
        raise NotSupported("task.map", "send a call for each item, or loop in a task of your own")

    def starmap(self, it: Any) -> NoReturn:
        raise NotSupported("task.starmap", "send a call for each item, or loop in a task of your own")

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raises TypeError for arguments that `run` would refuse."""
        check = self._checker
        if check is None:
            check = self._checker = checker(self._function(), bound=self._takes_self()) or _anything
        try:
            check(*args, **kwargs)
        except TypeError:
            if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
                raise TypeError(
                    f"args must be a list or tuple and kwargs a dict, got {args!r} and {kwargs!r}"
                ) from None
            raise

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Send this call again, later, and end this run: `raise self.retry(exc=error)`.

        The message leaves when this run is settled, so a worker that dies before repeats the run, not the retry.
        Raises `exc` or MaxRetriesExceededError when the retries are spent, and outside a worker.
        """
        request = self.request
        if request.called_directly or request.id is None:
            raise exc or sys.exc_info()[1] or Retry("Task can be retried")
        if max_retries is not None:
            request.override_max_retries = max_retries
        limit = self.max_retries if max_retries is None else max_retries
        if eta is None and countdown is None:
            countdown = self.default_retry_delay
        sig = self.signature_from_request(
            request, args, kwargs, countdown=countdown, eta=eta, retries=request.retries + 1, **options
        )
        if is_spent(request.retries, limit):
            if exc is not None:
                raise exc
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{sig.args} kwargs:{sig.kwargs}",
                task_args=sig.args,
                task_kwargs=sig.kwargs,
            )
        ret = Retry(exc=exc, when=eta or countdown, is_eager=request.is_eager, sig=sig)
        if not request.is_eager:
            outgoing = self.app.compose(self.name, sig.args, sig.kwargs, **sig.options)
            # The worker seals it when the run is settled. An option that cannot travel is this run's error.
            seal_envelopes([outgoing.message], [outgoing.route])
            once = invented_id(request.id, request.retries, len(request.followups))
            request.followups.append(outgoing._replace(once=once))
            self.app.sent((outgoing,))
        if throw:
            raise ret
        return ret

    def signature_from_request(
        self,
        request: Any = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        queue: str | None = None,
        **extra_options: Any,
    ) -> Signature[R]:
        """The call of a request, as it is retried. Of `args` and `kwargs` what is None is the request's, unless the
        other takes its place.
        """
        request = self.request if request is None else request
        if args is None or kwargs is None:
            args, kwargs = self._completed(request, args, kwargs)
        options = request.as_execution_options()
        if queue is not None:
            options = {name: value for name, value in options.items() if name not in ("exchange", "routing_key")}
            options["queue"] = queue
        said = {name: value for name, value in extra_options.items() if value is not None or name not in options}
        return Signature(self, tuple(args), dict(kwargs), {**options, **said}, app=self._app)

    def _completed(
        self, request: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The request's other half. New positional arguments take the place of keywords, new keywords of positions."""
        if args is None and kwargs is None:
            return request.args, request.kwargs
        try:
            parameters = inspect.signature(self.run)
        except (TypeError, ValueError):
            parameters = inspect.Signature()
        named = [
            parameter.name for parameter in parameters.parameters.values() if parameter.kind in _BY_POSITION_OR_NAME
        ]
        if args is not None:
            taken = set(named[: len(args)])
            return args, {name: value for name, value in request.kwargs.items() if name not in taken}
        given = dict(kwargs or {})
        positional = list(request.args)
        for place, name in enumerate(named[: len(positional)]):
            if name in given:
                positional[place] = given.pop(name)
        return positional, given

    def replace(self, sig: Any) -> Any:
        """Run another call in the place of this one, under its id: `return self.replace(other.s())`. Raises Ignore.

        Its result is this task's; what was linked to this task is linked to it. Inline its value is returned.
        """
        request = self.request
        if request.id is None:
            raise ImproperlyConfigured(f"task {self.name!r}: replace is for a task that runs in a worker")
        other = cast("Signature[Any]", maybe_signature(sig, self.app, clone=True))
        for option, linked in (("link", request.callbacks), ("link_error", request.errbacks)):
            for item in linked or ():
                other._append(option, cast("Signature[Any]", maybe_signature(item, self.app)))
        other.set(
            task_id=request.id,
            root_id=request.root_id,
            parent_id=request.id,
            group_id=request.group,
            group_index=request.group_index,
            replaced_task_nesting=request.replaced_task_nesting + 1,
        )
        return self.on_replace(other)

    def on_replace(self, sig: Signature[Any]) -> Any:
        """What `replace` does with the call: sends it and ends this one. Raises Ignore."""
        request = self.request
        if request.is_eager:
            return sig.apply().get()
        options = {name: value for name, value in sig.options.items() if value is not None}
        outgoing = self.app.compose(sig.task, sig.args, sig.kwargs, **options)
        seal_envelopes([outgoing.message], [outgoing.route])
        once = invented_id(str(request.id), request.retries, len(request.followups))
        request.followups.append(outgoing._replace(once=once))
        self.app.sent((outgoing,))
        raise Ignore("replaced by a new task")

    def add_to_chord(self, sig: Any, lazy: bool = False) -> NoReturn:
        raise NotSupported("task.add_to_chord", "call the task and collect its result in a task of your own")

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> NoReturn:
        raise NotSupported("a task's own strategy", "use the signals task_received and task_prerun")

    # talking about it

    def update_state(self, task_id: str | None = None, state: str | None = None, meta: Any = None, **_: Any) -> None:
        """Store a state of the user's own, such as PROGRESS, with anything to go with it."""
        request = self.request
        task_id = task_id or request.id
        if task_id is None or state is None:
            raise ValueError(f"update_state needs a state, and outside a task a task_id, got {state!r}, {task_id!r}")
        if printable(state) != state or printable(task_id) != task_id:
            raise ValueError(f"update_state needs texts that can be stored, got {state!r}, {task_id!r}")
        encoded = encode_meta(
            task_id,
            state,
            meta,
            now=time.time(),
            group_id=request.group,
            parent_id=request.parent_id,
            codec=ResultCodec.of(self.app.conf),
            attempt=request.retries,
        )
        record = TaskResult(task_id, state, request.retries, encoded)
        if not request.tell(record):
            self.app.backend.store([record])

    def send_event(
        self, type_: str, retry: bool = True, retry_policy: Mapping[str, Any] | None = None, **fields: Any
    ) -> None:
        """Send an event of one's own such as `task-progress` to whoever listens, with the task's id as `uuid`.

        Inside a worker it goes with the worker's own events. It is sent once, whatever `retry` says. Raises EncodeError
        for what JSON cannot carry, OperationalError outside a worker.
        """
        request = self.request
        fields = {"uuid": request.id, **fields}
        if not request.tell(Said.now(type_, fields)):
            with self.app.events.default_dispatcher(hostname=request.hostname) as dispatcher:
                dispatcher.send(type_, **fields)

    def add_trail(self, result: AsyncResult[Any]) -> AsyncResult[Any]:
        """Count `result` among the running task's children."""
        if self.trail:
            self.request.children.append(result)
        return result

    def AsyncResult(self, task_id: str, **options: Any) -> AsyncResult[R]:  # noqa: N802  (Celery's name)
        """The handle of a result of this task's."""
        return AsyncResult(task_id, app=self.app, **{"task_name": self.name, **options})

    # hooks

    @does_nothing
    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Before `run`; an exception here is the task's failure."""

    @does_nothing
    def on_success(self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """After `run` returned; an exception here is logged."""

    @does_nothing
    def on_failure(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After `run` failed; `str(einfo)` is the traceback."""

    @does_nothing
    def on_retry(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After `run` asked to run again."""

    @does_nothing
    def after_return(
        self, status: str, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After success or failure, last."""

    def on_bound(self, app: "Celery") -> None:
        """After the task was bound to its app for the first time."""

    # binding

    def annotate(self) -> None:
        """Set what task_annotations says about this task; done when it is bound."""
        for name, value in attributes_of(self, self.app.conf.task_annotations):
            if name.startswith("@"):
                self.add_around(name[1:], value)
            else:
                setattr(self, name, value)

    def add_around(self, attr: str, around: Callable[[Any], Any]) -> None:
        """Wrap a method: `around(method)` takes its place."""
        method = getattr(self, attr)
        wrapped = around(getattr(method, "__wrapped__", method))
        setattr(self, attr, wrapped)

    def adopt(self, app: "Celery") -> None:
        """Belong to `app`, whose settings are read at the first use."""
        self._app = app
        self._settings_version = None

    def bind(self, app: "Celery") -> None:
        """Take from the settings what the task leaves open; again, and only that, whenever they change."""
        version = app.conf.version
        if self._app is app and self._settings_version == version:
            return
        first = self._settings_version is None
        self._app = app
        fresh = {}
        for attribute, setting in self.from_config:
            current = getattr(self, attribute)
            if current is None or (attribute in self._from_settings and current == self._from_settings[attribute]):
                fresh[attribute] = app.conf[setting]
        self.__dict__.update(fresh)
        self._from_settings = fresh
        self._settings_version = version
        if first:
            self.annotate()
        self.validate()
        if first:
            self.on_bound(app)

    def validate(self) -> None:
        """Raises ImproperlyConfigured for options that make no sense, NotSupported for what is not there."""
        check_declaration(self)
        if "backend" in self.__dict__ or type(self).backend is not Task.__dict__["backend"]:
            raise NotSupported(f"task {self.name!r}: a result backend of its own", "set result_backend of the app")

    def _function(self) -> Any:
        """What `run` really is."""
        run = self.run
        return getattr(run, "__func__", run)

    def _takes_self(self) -> bool:
        return hasattr(self.run, "__func__")

    @property
    def __name__(self) -> str:
        kind: Any = type(self)
        return str(kind.__name__)

    def __reduce__(self) -> Any:
        return _task_again, (self.name, type(self).__module__)

    def __repr__(self) -> str:
        app = "no app" if self._app is None else self._app.main or "__main__"
        return f"<@task: {self.name} of {app}>"


def _task_again(name: str, module: str) -> Any:
    """The task of that name in the app in use, where a pickle of it is read."""
    import_module(module)
    return current_app().tasks[name]


_BY_POSITION_OR_NAME = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _anything(*_: Any, **__: Any) -> None:
    pass
