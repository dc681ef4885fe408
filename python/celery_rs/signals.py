"""Signals: what happens, told to whoever asked: `@task_prerun.connect`.

A receiver is called where the thing happens, in that process and thread, and must take keyword arguments. What it
raises is logged and returned, never raised: a monitor that fails does not fail the task. Receivers are held weakly,
as Celery does, so a nested function needs `weak=False`.
"""

import inspect
import logging
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar, overload

logger = logging.getLogger("celery.signals")

Receiver = Callable[..., Any]
R = TypeVar("R", bound=Receiver)

_RETRY_S = (0.1, 0.2, 0.5, 1.0)


class _Connection(NamedTuple):
    key: tuple[Hashable, Hashable]
    sender: Any
    find: Callable[[], Receiver | None]
    retry: bool


class Signal:
    """One kind of event. `receivers` is empty, and costs a look to whoever would send, until somebody connects."""

    def __init__(self, name: str, arguments: tuple[str, ...] = ()) -> None:
        self.name = name
        self.arguments = arguments
        self.receivers: tuple[_Connection, ...] = ()
        self._lock = threading.Lock()

    @overload
    def connect(self, receiver: R, /) -> R: ...
    @overload
    def connect(
        self,
        receiver: R,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
        retry: bool = False,
    ) -> R: ...
    @overload
    def connect(
        self,
        receiver: None = None,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
        retry: bool = False,
    ) -> Callable[[R], R]: ...
    def connect(
        self,
        receiver: Any = None,
        /,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
        retry: bool = False,
    ) -> Any:
        """Call `receiver` from now on; of one `sender` only, if one is named. Also a decorator.

        `dispatch_uid` makes connecting twice harmless; `retry` calls a receiver that raises again until it does not.
        Raises ValueError for a receiver that takes no keyword arguments.
        """
        if receiver is None:
            return lambda receiver: self.connect(receiver, sender, weak, dispatch_uid, retry)
        _check(receiver)
        key = (dispatch_uid if dispatch_uid is not None else _identity(receiver), _identity(sender))
        connection = _Connection(key, sender, _reference(receiver) if weak else lambda: receiver, retry)
        with self._lock:
            if all(known.key != key for known in self._alive()):
                self.receivers = (*self._alive(), connection)
        return receiver

    def disconnect(
        self,
        receiver: Receiver | None = None,
        sender: Any = None,
        weak: bool | None = None,
        dispatch_uid: Hashable | None = None,
    ) -> bool:
        """Stop calling it; whether it was connected. `weak` is accepted as Celery does."""
        key = (dispatch_uid if dispatch_uid is not None else _identity(receiver), _identity(sender))
        with self._lock:
            before = self._alive()
            self.receivers = tuple(known for known in before if known.key != key)
            return len(self.receivers) < len(before)

    def has_listeners(self, sender: Any = None) -> bool:
        """Whether anybody would hear of this sender."""
        return any(_concerns(known, sender) and known.find() is not None for known in self.receivers)

    def send(self, sender: Any, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call the receivers, in the order in which they connected; each with what it returned or raised."""
        answers = []
        for known in self.receivers:
            if not _concerns(known, sender):
                continue
            receiver = known.find()
            if receiver is not None:
                answers.append((receiver, self._call(receiver, known.retry, sender, named)))
        return answers

    def _call(self, receiver: Receiver, retry: bool, sender: Any, named: dict[str, Any]) -> Any:
        pauses = iter(_RETRY_S)
        while True:
            try:
                return receiver(signal=self, sender=sender, **named)
            except Exception as error:
                logger.exception("receiver %r of the signal %s raised", receiver, self.name)
                if not retry:
                    return error
                time.sleep(next(pauses, _RETRY_S[-1]))

    def _alive(self) -> tuple[_Connection, ...]:
        return tuple(known for known in self.receivers if known.find() is not None)

    def __repr__(self) -> str:
        return f"<Signal: {self.name}>"


def _check(receiver: Receiver) -> None:
    if not callable(receiver):
        raise TypeError(f"a signal's receiver must be a function, got {receiver!r}")
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return  # a builtin does not say what it takes
    if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
        raise ValueError(f"a signal's receiver must take keyword arguments (**kwargs), got {receiver!r}")


def _identity(thing: Any) -> Hashable:
    """Texts are equal when they say the same, everything else when it is the same; a method is its object's."""
    if thing is None or isinstance(thing, str):
        return thing
    owner = getattr(thing, "__self__", None)
    return id(thing) if owner is None else (id(owner), id(getattr(thing, "__func__", thing)))


def _concerns(known: _Connection, sender: Any) -> bool:
    return known.sender is None or known.sender is sender or (isinstance(sender, str) and known.sender == sender)


def _reference(receiver: Receiver) -> Callable[[], Receiver | None]:
    try:
        return weakref.WeakMethod(receiver) if hasattr(receiver, "__self__") else weakref.ref(receiver)
    except TypeError:
        return lambda: receiver  # cannot be held weakly


# To the client
before_task_publish = Signal(
    "before_task_publish", ("body", "exchange", "routing_key", "headers", "properties", "declare", "retry_policy")
)
"""Sender: the task's name. Body, headers and properties may be changed."""
after_task_publish = Signal("after_task_publish", ("headers", "body", "exchange", "routing_key"))

# In the worker's main process
task_received = Signal("task_received", ("request",))
task_revoked = Signal("task_revoked", ("request", "terminated", "signum", "expired"))
task_rejected = Signal("task_rejected", ("message", "exc"))
task_unknown = Signal("task_unknown", ("message", "exc", "name", "id"))

# Where the task runs
task_prerun = Signal("task_prerun", ("task_id", "task", "args", "kwargs"))
task_postrun = Signal("task_postrun", ("task_id", "task", "args", "kwargs", "retval", "state"))
task_success = Signal("task_success", ("result", "runtime"))
task_retry = Signal("task_retry", ("request", "reason", "einfo"))
task_failure = Signal("task_failure", ("task_id", "exception", "args", "kwargs", "traceback", "einfo"))
task_internal_error = Signal(
    "task_internal_error", ("task_id", "args", "kwargs", "request", "exception", "traceback", "einfo")
)

# The life of an app and a worker
import_modules = Signal("import_modules")
celeryd_init = Signal("celeryd_init", ("instance", "conf", "options"))
celeryd_after_setup = Signal("celeryd_after_setup", ("instance", "conf"))
worker_init = Signal("worker_init")
worker_before_create_process = Signal("worker_before_create_process")
worker_process_init = Signal("worker_process_init")
worker_process_shutdown = Signal("worker_process_shutdown", ("pid", "exitcode"))
worker_ready = Signal("worker_ready")
worker_shutting_down = Signal("worker_shutting_down", ("sig", "how", "exitcode"))
worker_shutdown = Signal("worker_shutdown")
heartbeat_sent = Signal("heartbeat_sent")
setup_logging = Signal("setup_logging", ("loglevel", "logfile", "format", "colorize"))
"""Any receiver takes the place of our own logging."""
after_setup_logger = Signal("after_setup_logger", ("logger", "loglevel", "logfile", "format", "colorize"))
after_setup_task_logger = Signal("after_setup_task_logger", ("logger", "loglevel", "logfile", "format", "colorize"))
user_preload_options = Signal("user_preload_options", ("app", "options"))

# There is no beat and no green pools yet: these can be connected to, and nothing sends them
task_sent = Signal("task_sent", ("task_id", "task", "args", "kwargs", "eta", "taskset"))
"""Deprecated by Celery; after_task_publish says more."""
beat_init = Signal("beat_init")
beat_embedded_init = Signal("beat_embedded_init")
eventlet_pool_started = Signal("eventlet_pool_started")
eventlet_pool_preshutdown = Signal("eventlet_pool_preshutdown")
eventlet_pool_postshutdown = Signal("eventlet_pool_postshutdown")
eventlet_pool_apply = Signal("eventlet_pool_apply", ("target", "args", "kwargs"))

SIGNALS: dict[str, Signal] = {signal.name: signal for signal in list(globals().values()) if isinstance(signal, Signal)}
"""Every signal by name."""
