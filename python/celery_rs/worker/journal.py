"""What the worker writes to its log about tasks, in Celery's words, and what it counts."""

import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterable

from celery_rs._core import Envelope
from celery_rs.errors import WorkerLostError
from celery_rs.execution import Outcome
from celery_rs.transports import Delivery
from celery_rs.worker.deadlines import Overrun
from celery_rs.worker.dispatcher import Dead, Entry, Revoked
from celery_rs.worker.lifecycle import Phase
from celery_rs.worker.pools import Lost

logger = logging.getLogger("celery.worker.strategy")
trace = logging.getLogger("celery.app.trace")

SHOWN_MOST = 1024
"""How much of a message that cannot be run is shown, in bytes."""


class Counts:
    """How many tasks of each name have ended here."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()

    def add(self, tasks: Iterable[str]) -> None:
        """So many of them have ended."""
        self.total.update(tasks)


def received(entries: Iterable[Entry]) -> None:
    if logger.isEnabledFor(logging.INFO):
        for entry in entries:
            _write(logger, logging.INFO, "Task %(name)s[%(id)s] received", _data(entry) | {"eta": entry.envelope.eta})


def expired(entry: Entry) -> None:
    _write(logger, logging.INFO, "Discarding revoked task: %(name)s[%(id)s] (expired)", _data(entry))


def revoked(revoked: Revoked) -> None:
    text, data = "Discarding revoked task: %(name)s[%(id)s]", _data(revoked.entry)
    if revoked.stamps is not None:
        text, data = f"{text} (revoked by header: %(stamps)s)", data | {"stamps": dict(revoked.stamps)}
    _write(logger, logging.INFO, text, data)


def terminating(entry: Entry, signum: signal.Signals) -> None:
    data = _data(entry) | {"signal": signum.name, "signum": int(signum)}
    _write(logger, logging.INFO, "Terminating %(id)s (%(signal)s)", data)


def buried(dead: Dead) -> None:
    """A message that cannot be run; where it is now, and why."""
    envelope = dead.delivery.envelope
    data: dict[str, object] = {"queue": dead.delivery.queue, "reason": dead.reason, "detail": dead.detail}
    text = "A message of queue %(queue)r became a dead letter (%(reason)s): %(detail)s"
    if dead.reason == "unknown-task" and isinstance(envelope, Envelope):
        text = _UNREGISTERED
        data |= {"name": envelope.task, "id": envelope.id, "body": _shown(envelope.body)}
        data |= {"headers": _shown(envelope.headers), "delivery_info": _delivery_info(envelope)}
    _write(logger, logging.ERROR, text, data)


def writes_ends() -> bool:
    """Whether the log tells of tasks that succeed."""
    return trace.isEnabledFor(logging.INFO)


def ended(entry: Entry, outcome: Outcome) -> None:
    """One line for the end of a run; an unexpected failure with its traceback."""
    if outcome.end == "success":
        if trace.isEnabledFor(logging.INFO):
            data = _data(entry) | {"runtime": outcome.runtime, "return_value": outcome.text}
            _write(trace, logging.INFO, "Task %(name)s[%(id)s] succeeded in %(runtime)ss: %(return_value)s", data)
        return
    level, text = _ENDS[outcome.end if outcome.end != "failure" or not outcome.expected else "expected"]
    if trace.isEnabledFor(level):
        data = _data(entry) | {"exc": outcome.text, "traceback": outcome.traceback or "", "runtime": outcome.runtime}
        _write(trace, level, text if outcome.traceback else text.removesuffix(_TRACEBACK), data)


_TRACEBACK = "\n%(traceback)s"
_ENDS = {
    "retry": (logging.INFO, "Task %(name)s[%(id)s] retry: %(exc)s"),
    "ignore": (logging.INFO, "Task %(name)s[%(id)s] ignored"),
    "reject": (logging.WARNING, f"Task %(name)s[%(id)s] %(exc)s{_TRACEBACK}"),
    "requeue": (logging.WARNING, f"Task %(name)s[%(id)s] %(exc)s{_TRACEBACK}"),
    "expected": (logging.INFO, "Task %(name)s[%(id)s] raised expected: %(exc)s"),
    "failure": (logging.ERROR, f"Task %(name)s[%(id)s] raised unexpected: %(exc)s{_TRACEBACK}"),
}
_UNREGISTERED = """Received unregistered task of type %(name)r.
It became a dead letter of queue %(queue)r; its caller gets NotRegistered. Does this worker import the module that \
declares it?

Body: %(body)s
Headers: %(headers)s
Delivery info: %(delivery_info)r"""


def _delivery_info(envelope: Envelope) -> dict[str, object]:
    return {"exchange": envelope.exchange, "routing_key": envelope.routing_key, "priority": envelope.priority}


def _shown(data: bytes) -> str:
    text = data[:SHOWN_MOST].decode("utf-8", "backslashreplace")
    return f"{text}... ({len(data)} bytes)" if len(data) > SHOWN_MOST else f"{text} ({len(data)} bytes)"


def overrun(entry: Entry, over: Overrun) -> None:
    level = logging.WARNING if over.how == "soft" else logging.ERROR
    data = _data(entry) | {"limit": over.limit, "kind": over.how.capitalize()}
    _write(logger, level, "%(kind)s time limit (%(limit)ss) exceeded for %(name)s[%(id)s]", data)


def lost(entry: Entry, event: Lost) -> None:
    if event.by_us is None:
        data = _data(entry) | {"pid": event.pid, "how": event.how}
        _write(logger, logging.ERROR, "Task %(name)s[%(id)s]: its process %(pid)d died (%(how)s)", data)


def orphaned(delivery: Delivery, error: WorkerLostError) -> None:
    """Work of a dead worker that is not run again."""
    envelope = delivery.envelope
    if isinstance(envelope, Envelope):
        data: dict[str, object] = {"name": envelope.shadow or envelope.task, "id": envelope.id, "exc": str(error)}
        _write(logger, logging.ERROR, "Task %(name)s[%(id)s] is not run again: %(exc)s", data)


def shutting_down(before: Phase, after: Phase, number: int | None = None, soft_timeout: float = 0.0) -> None:
    """Say what a signal, or the end of a soft shutdown, has started."""
    if after == before:
        return
    if after == Phase.DRAINING and number == signal.SIGHUP:
        _say(f"Restarting celery worker ({' '.join(sys.argv)})")
    elif after == Phase.DRAINING:
        _say("worker: Warm shutdown (MainProcess)")
        if number == signal.SIGINT:
            _say(_ONCE_MORE)
    elif after == Phase.SOFT:
        _say(_ONCE_MORE)
        logging.getLogger("celery.worker").warning("Initiating Soft Shutdown, terminating in %s seconds", soft_timeout)
    elif after == Phase.STOPPING:
        _say("worker: Cold shutdown (MainProcess)")


_ONCE_MORE = "worker: Hitting Ctrl+C again will terminate all running tasks!"


def _say(line: str) -> None:
    """To the terminal, whatever the log level is, and although what is printed goes to the log."""
    if sys.__stdout__ is not None:
        sys.__stdout__.write(f"{line}\n")
        sys.__stdout__.flush()


def _data(entry: Entry) -> dict[str, object]:
    envelope = entry.envelope
    return {
        "id": envelope.id,
        "name": envelope.shadow or envelope.task,
        "args": envelope.argsrepr,
        "kwargs": envelope.kwargsrepr,
    }


def _write(to: logging.Logger, level: int, text: str, data: dict[str, object]) -> None:
    """What the text is made of goes along as `record.data`, for handlers that want the parts."""
    to.log(level, text, data, extra={"data": data})
