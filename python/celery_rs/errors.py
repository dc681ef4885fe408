"""Every exception of celery-rs.

    CeleryError
    ├── ImproperlyConfigured
    │   ├── UnknownSetting           (also KeyError)
    │   └── NotFinalized             a task was used before app.finalize(), which it needs (also RuntimeError)
    ├── StateFileError               the file of revoked ids cannot be used
    ├── SecurityError
    ├── OperationalError             the broker cannot be reached, or refused
    │   ├── Unroutable               a message that would go to no queue
    │   └── NotAllPublished          publish_many had to stop on its way
    ├── NotSupported                 this broker or store cannot do that (also NotImplementedError)
    ├── EncodeError                  a value that the serializer cannot write
    ├── ContentError                 bytes that are not what their content type says
    ├── ContentDisallowed            a content type that accept_content does not name
    ├── TaskPredicate                raised by tasks to decide their own end
    │   ├── Ignore
    │   ├── Reject
    │   └── Retry
    ├── TaskError
    │   ├── InvalidTaskError         a message that cannot be run
    │   ├── NotRegistered            (also KeyError)
    │   ├── AlreadyRegistered        raised by nobody; programs written for Celery name it
    │   ├── QueueNotFound            (also KeyError)
    │   ├── TimeoutError
    │   ├── MaxRetriesExceededError
    │   ├── TaskRevokedError
    │   ├── IncompleteStream
    │   ├── RemoteError              a task's exception whose class is not known here
    │   └── ChordError
    ├── BackendError                 the result store cannot be reached, or refused
    │   ├── BackendGetMetaError
    │   └── BackendStoreError
    └── CeleryCommandException       ends a command with an exit code
    SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError, Terminated   (Exception)
    WorkerShutdown, WorkerTerminate (= SystemTerminate)                     (SystemExit)
    CeleryWarning                    (UserWarning)
    ├── AlwaysEagerIgnored           task_always_eager is set, and send_task sends all the same
    ├── DuplicateNodenameWarning, DuplicateTaskNameWarning, FixupWarning, NotConfigured
    └── SecurityWarning
    CDeprecationWarning, CPendingDeprecationWarning

On the wire these classes are named as Celery names them (`celery.exceptions`, `billiard.exceptions`), so that
a Celery client can rebuild them: see `wire.failure`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, NoReturn


class CeleryError(Exception):
    """Base of all."""


class ImproperlyConfigured(CeleryError):
    """A setting, argument or app that cannot work as it stands."""


class UnknownSetting(ImproperlyConfigured, KeyError):
    """A name that is no setting."""

    def __str__(self) -> str:  # a KeyError shows its argument quoted
        return str(self.args[0]) if self.args else ""


class NotFinalized(ImproperlyConfigured, RuntimeError):
    """A task of an app with `autofinalize=False` was used before its `finalize()`."""


class StateFileError(CeleryError):
    """The file in which a worker keeps what was revoked cannot be used."""


class SecurityError(CeleryError):
    """Something that could run foreign code was refused."""


class OperationalError(CeleryError):
    """The broker cannot be reached or refused; the message names it and says what to do."""


class Unroutable(OperationalError):
    """No queue is bound where the message would go. Trying again changes nothing; declaring a queue does."""


class NotAllPublished(OperationalError):
    """`publish_many` had to stop: `published` are the results of the calls that the broker has, `rest` the others.

    The broker may have the first thousand of the rest as well, where only its answer was lost.
    """

    def __init__(self, message: str, published: Sequence[Any] = (), rest: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.published = published
        self.rest = rest


class NotSupported(CeleryError, NotImplementedError):
    """This broker or store cannot do that, or nothing here can yet. Celery raises NotImplementedError."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what} is not supported here; {instead}")


class EncodeError(CeleryError):
    """A value that the serializer cannot write."""


class ContentError(CeleryError):
    """Bytes that are not what their content type says."""


class ContentDisallowed(CeleryError):
    """A content type that `accept_content` does not name."""


class TaskPredicate(CeleryError):
    """Raised by a task to decide its own end."""


class Ignore(TaskPredicate):
    """Store nothing and acknowledge."""


class Reject(TaskPredicate):
    """Refuse the message: to the dead letters, or back to its queue with `requeue`."""

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        self.reason = reason
        self.requeue = requeue
        super().__init__(reason, requeue)

    def __str__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"

    __repr__ = __str__


class Retry(TaskPredicate):
    """The task is to run again: `when` is seconds from now or a time."""

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | None = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
    ) -> None:
        self.message = message
        self.exc = exc
        self.when = when
        self.is_eager = is_eager
        self.sig = sig
        super().__init__(message, exc, when)

    @property
    def excs(self) -> str | None:
        """The error that made it retry, as text."""
        return None if self.exc is None else repr(self.exc)

    def humanize(self) -> str:
        """When: `in 3s`, or `at <date>`."""
        if isinstance(self.when, int | float):
            return f"in {self.when}s"
        return f"at {self.when.isoformat() if isinstance(self.when, datetime) else self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        return f"Retry {self.humanize()}: {self.excs}" if self.exc is not None else f"Retry {self.humanize()}"


RetryTaskError = Retry


class TaskError(CeleryError):
    """Something about one task."""


class InvalidTaskError(TaskError):
    """A message that cannot be run."""


class NotRegistered(TaskError, KeyError):
    """No task of that name."""

    def __str__(self) -> str:
        return f"task {self.args[0]!r} is not registered; is its module imported by the worker?"

    __repr__ = __str__


class AlreadyRegistered(TaskError):
    """A task of that name exists. Nobody raises it, in Celery neither: the first one is kept."""


class QueueNotFound(TaskError, KeyError):
    """A queue that `task_queues` does not name while creating missing ones is off."""

    def __str__(self) -> str:  # a KeyError shows its argument quoted
        return str(self.args[0]) if self.args else ""


class TimeoutError(TaskError):  # Celery's name for it
    """The result did not come in time."""


class MaxRetriesExceededError(TaskError):
    """The task was retried as often as it may be."""

    def __init__(
        self, *args: object, task_args: Sequence[Any] = (), task_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.task_args = task_args
        self.task_kwargs = dict(task_kwargs or {})
        super().__init__(*args)


class TaskRevokedError(TaskError):
    """The task was revoked, or its time to start had passed."""


class IncompleteStream(TaskError):
    """The result is not there yet."""


class RemoteError(TaskError):
    """A task's exception whose class is not imported here: its name and its text."""

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name = type_name
        self.text = text
        super().__init__(type_name, text)

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class ChordError(TaskError):
    """A member of a chord's header failed."""


class BackendError(CeleryError):
    """The result store cannot be reached or refused; the message names it and says what to do."""


class BackendGetMetaError(BackendError):
    """A result could not be read."""

    def __init__(self, *args: object, task_id: str = "") -> None:
        self.task_id = task_id
        super().__init__(*args)


class BackendStoreError(BackendError):
    """A result could not be written."""

    def __init__(self, *args: object, state: str = "", task_id: str = "") -> None:
        self.state = state
        self.task_id = task_id
        super().__init__(*args)


class CeleryCommandException(CeleryError):
    """Ends a command, which prints the message and exits with `exit_code`."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.message = message
        self.exit_code = exit_code
        super().__init__(message)


class SoftTimeLimitExceeded(Exception):
    """Raised inside a task that ran longer than its soft limit."""


class TimeLimitExceeded(Exception):
    """The task ran longer than its hard limit (seconds) and was killed."""


class WorkerLostError(Exception):
    """The process that ran the task died."""


class Terminated(Exception):
    """The task was terminated by a signal on request."""


class WorkerShutdown(SystemExit):
    """The worker is to stop once its tasks are done."""


class WorkerTerminate(SystemExit):
    """The worker is to stop now."""


SystemTerminate = WorkerTerminate


class CeleryWarning(UserWarning):
    """Base of all warnings that are not about deprecation."""


class AlwaysEagerIgnored(CeleryWarning):
    """`send_task` sends, also where `task_always_eager` is set."""


class DuplicateNodenameWarning(CeleryWarning):
    """Two workers have one name."""


class DuplicateTaskNameWarning(CeleryWarning):
    """Two functions under one task name: the first one is kept."""


class FixupWarning(CeleryWarning):
    """Something about a framework's integration."""


class NotConfigured(CeleryWarning):
    """There is no configuration where one was looked for."""


class SecurityWarning(CeleryWarning):
    """Something that could run foreign code is allowed."""


class CDeprecationWarning(DeprecationWarning):
    """This will go."""


class CPendingDeprecationWarning(PendingDeprecationWarning):
    """This will be deprecated."""


def reraise(kind: type[BaseException], value: BaseException, traceback: TracebackType | None = None) -> NoReturn:
    """Raise `value` with that traceback; `kind` is accepted as Celery does."""
    raise value if value.__traceback__ is traceback else value.with_traceback(traceback)
