"""Task: what `@app.task` makes of a function, and what users subclass.

Options that are None here come from the settings when the task is bound to its app, at its first use. A task is one
object per process; what differs between its runs is in `self.request`.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from celery_rs import errors
from celery_rs._core import seal_envelopes
from celery_rs.app.signatures import Checker, checker
from celery_rs.config import check_rate, check_seconds
from celery_rs.context import current_request, running
from celery_rs.errors import ImproperlyConfigured, Retry
from celery_rs.execution import BACKOFF_MAX, RETRY_DELAY, Request, exception_classes, invented_id, is_spent, printable
from celery_rs.results import AsyncResult
from celery_rs.wire import TaskResult, encode_meta

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

FROM_SETTINGS: dict[str, str] = {
    "serializer": "task_serializer",
    "rate_limit": "task_default_rate_limit",
    "priority": "task_default_priority",
    "track_started": "task_track_started",
    "acks_late": "task_acks_late",
    "acks_on_failure_or_timeout": "task_acks_on_failure_or_timeout",
    "acks_on_failure": "task_acks_on_failure",
    "acks_on_timeout": "task_acks_on_timeout",
    "reject_on_worker_lost": "task_reject_on_worker_lost",
    "ignore_result": "task_ignore_result",
    "store_errors_even_if_ignored": "task_store_errors_even_if_ignored",
}
"""Task attribute → the setting it has when the class and the decorator say None."""


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
    trail: bool = True
    send_events: bool = True
    serializer: str | None = None
    track_started: bool | None = None
    acks_late: bool | None = None
    acks_on_failure_or_timeout: bool | None = None
    acks_on_failure: bool | None = None
    acks_on_timeout: bool | None = None
    reject_on_worker_lost: bool | None = None
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

    MaxRetriesExceededError: ClassVar[type[Exception]] = errors.MaxRetriesExceededError
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
        with running(Request(task=self.name, args=args, kwargs=kwargs)):
            return self.run(*args, **kwargs)  # type: ignore[no-any-return]  # `run` is the user's

    @property
    def request(self) -> Request:
        """The run that is going on; outside of one, an empty request with `called_directly`."""
        request = current_request()
        return request if request is not None else Request(task=self.name)

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
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[R]:
        """Send a call: `countdown`, `eta`, `expires`, `queue`, `priority`, `task_id`, `headers`, `time_limit`, ...

        Raises TypeError for arguments that the task would refuse and for an unknown option, OperationalError when
        the broker cannot be reached.
        """
        args = () if args is None else args
        kwargs = {} if kwargs is None else kwargs
        app = self.app
        if self.typing:
            self.check_arguments(args, kwargs)
        return app.send_task(self.name, args, kwargs, **options)

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raises TypeError for arguments that `run` would refuse."""
        check = self._checker
        if check is None:
            check = self._checker = checker(self._function(), bound=self._takes_self()) or _anything
        check(*args, **kwargs)

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
        limit = self.max_retries if max_retries is None else max_retries
        if request.called_directly or request.id is None:
            raise exc or sys.exc_info()[1] or Retry("Task can be retried")
        retry_args = tuple(request.args if args is None else args)
        retry_kwargs = request.kwargs if kwargs is None else kwargs
        if is_spent(request.retries, limit):
            if exc is not None:
                raise exc
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{retry_args} kwargs:{retry_kwargs}"
            )
        if eta is None and countdown is None:
            countdown = self.default_retry_delay
        when = {"countdown": countdown} if eta is None else {"eta": eta}
        again = request.as_execution_options() | when | {"retries": request.retries + 1} | options
        outgoing = self.app.compose(self.name, retry_args, retry_kwargs, **again)
        # The worker seals it when the run is settled. An option that cannot travel is this run's error, not its end.
        seal_envelopes([outgoing.message], [outgoing.route])
        once = invented_id(request.id, request.retries, len(request.followups))
        request.followups.append(outgoing._replace(once=once))
        ret = Retry(exc=exc, when=eta or countdown, sig=outgoing)
        if throw:
            raise ret
        return ret

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
            task_id, state, meta, now=time.time(), group_id=request.group, parent_id=request.parent_id
        )
        record = TaskResult(task_id, state, request.retries, encoded)
        if not request.tell(record):
            self.app.backend.store([record])

    def AsyncResult(self, task_id: str) -> AsyncResult[R]:  # noqa: N802  (Celery's name)
        return AsyncResult(task_id, app=self.app)

    # hooks

    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Before `run`; an exception here is the task's failure."""

    def on_success(self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """After `run` returned; an exception here is logged."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After `run` failed; `str(einfo)` is the traceback."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After `run` asked to run again."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: Any
    ) -> None:
        """After success or failure, last."""

    # binding

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
        for attribute, setting in FROM_SETTINGS.items():
            current = getattr(self, attribute)
            if current is None or (attribute in self._from_settings and current == self._from_settings[attribute]):
                fresh[attribute] = app.conf[setting]
        self.__dict__.update(fresh)
        self._from_settings = fresh
        self._settings_version = version
        if first:
            for name, value in _annotations(app.conf.task_annotations, self):
                self._annotate(name, value)
        self.validate()

    def validate(self) -> None:
        """Raises ImproperlyConfigured for options that make no sense."""
        for option, kinds in _KINDS.items():
            value = getattr(self, option)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
                raise ImproperlyConfigured(f"task {self.name!r}: {option} must be a number, got {value!r}")
        for option in _SECONDS:
            check_seconds(f"task {self.name!r}: {option}", getattr(self, option))
        if not isinstance(self.retry_backoff, bool):
            check_seconds(f"task {self.name!r}: retry_backoff", self.retry_backoff)
        if self.retry_kwargs is not None and not isinstance(self.retry_kwargs, Mapping):
            raise ImproperlyConfigured(f"task {self.name!r}: retry_kwargs must be a dict, got {self.retry_kwargs!r}")
        if self.soft_time_limit is not None and self.time_limit is not None and self.soft_time_limit > self.time_limit:
            raise ImproperlyConfigured(
                f"task {self.name!r}: soft_time_limit must not be above time_limit, "
                f"got {self.soft_time_limit!r} and {self.time_limit!r}"
            )
        check_rate(f"task {self.name!r}: rate_limit", self.rate_limit)
        for option in ("autoretry_for", "dont_autoretry_for", "throws"):
            try:
                setattr(self, option, exception_classes(getattr(self, option)))
            except TypeError as error:
                raise ImproperlyConfigured(f"task {self.name!r}: {option}: {error}") from None

    def _annotate(self, name: str, value: Any) -> None:
        if name.startswith("@"):
            setattr(self, name[1:], value(getattr(self, name[1:])))
        else:
            setattr(self, name, value)

    def _function(self) -> Any:
        """What `run` really is."""
        run = self.run
        return getattr(run, "__func__", run)

    def _takes_self(self) -> bool:
        return hasattr(self.run, "__func__")

    def __repr__(self) -> str:
        app = "no app" if self._app is None else self._app.main or "__main__"
        return f"<@task: {self.name} of {app}>"


_NUMBER: tuple[type, ...] = (int, float)
_KINDS: dict[str, tuple[type, ...]] = {
    "max_retries": (int,),
    "default_retry_delay": _NUMBER,
    "time_limit": _NUMBER,
    "soft_time_limit": _NUMBER,
    "retry_backoff_max": _NUMBER,
    "priority": (int,),
}
_SECONDS = ("default_retry_delay", "time_limit", "soft_time_limit", "retry_backoff_max")


def _anything(*_: Any, **__: Any) -> None:
    pass


def _annotations(given: Any, task: Task[..., Any]) -> list[tuple[str, Any]]:
    """What task_annotations says about a task: its own entry, then `*`; of a list, the first that knows it."""
    for source in given if isinstance(given, list | tuple) else [given]:
        if isinstance(source, Mapping):
            found = [*source.get(task.name, {}).items(), *source.get("*", {}).items()]
        else:
            annotate: Callable[[Any], Any] | None = getattr(source, "annotate", None)
            found = [] if annotate is None else list((annotate(task) or {}).items())
        if found:
            return found
    return []
