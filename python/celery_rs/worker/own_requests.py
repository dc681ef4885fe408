"""Tasks that name a Request class of their own: its methods are told what becomes of them, on the loop's thread.

Each delivery has one such object from the first telling to its end. What the methods raise is logged, and who takes a
second is named, as receivers of signals are.
"""

import logging
from collections.abc import Callable

from celery_rs.context import AppLike
from celery_rs.errors import Ignore, Reject, RemoteError, Retry
from celery_rs.execution import ExceptionInfo, Outcome
from celery_rs.wire import decode_failure, decode_meta
from celery_rs.worker.deadlines import Overrun
from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.notices import Watchdog
from celery_rs.worker.pools import Started
from celery_rs.worker.request import Request

logger = logging.getLogger("celery.worker.request")


class OwnRequests:
    """For entries whose policy names a class, and no others."""

    def __init__(self, app: AppLike, hostname: str) -> None:
        self._app = app
        self._hostname = hostname
        self._watchdog = Watchdog()

    def started(self, entry: Entry, event: Started) -> None:
        self._tell(entry, "on_accepted", lambda request: request.on_accepted(event.pid, event.began_at))

    def overrun(self, entry: Entry, over: Overrun) -> None:
        self._tell(entry, "on_timeout", lambda request: request.on_timeout(over.how == "soft", over.limit))

    def ended(self, entry: Entry, outcome: Outcome) -> None:
        """Of a success nobody is told: in Celery a subclass's `on_success` is never called, either."""
        if outcome.end != "success":
            info = _info(_error(outcome), outcome.traceback)
            self._tell(entry, "on_failure", lambda request: request.on_failure(info, return_ok=True))

    def lost(self, entry: Entry, error: Exception, *, again: bool) -> None:
        """A run whose process died; `again`: it is sent once more."""
        info = _info(Retry(exc=error) if again else error, None)
        self._tell(entry, "on_failure", lambda request: request.on_failure(info))

    def _tell(self, entry: Entry, method: str, call: Callable[[Request], None]) -> None:
        kind = entry.policy.request
        assert kind is not None
        what = f"{kind.__qualname__}.{method} of task {entry.envelope.task}[{entry.envelope.id}]"
        try:
            with self._watchdog.watching(what):
                if entry.own is None:
                    entry.own = self._made(kind, entry)
                call(entry.own)
        except Exception:
            logger.exception("%s failed", what)

    def _made(self, kind: type[Request], entry: Entry) -> Request:
        acknowledged = entry.begun and not entry.policy.late
        return kind(self._app, self._hostname, entry.envelope, redelivered=entry.redelivered, acknowledged=acknowledged)


def _error(outcome: Outcome) -> BaseException:
    """The exception that ended the run, as near as what has come from its process says."""
    if outcome.end == "ignore":
        return Ignore()
    if outcome.end in ("reject", "requeue"):
        return Reject(outcome.text, outcome.end == "requeue")
    if outcome.record is not None:
        cause = decode_failure(decode_meta(outcome.record.meta).result)
    else:  # nothing is stored, and so nothing was written: its repr is all there is
        kind, _, text = outcome.text.partition("(")
        cause = RemoteError(kind, text.removesuffix(")"))
    return Retry(outcome.text, cause) if outcome.end == "retry" else cause


def _info(error: BaseException, traceback: str | None) -> ExceptionInfo:
    info = ExceptionInfo(error)
    if traceback is not None:
        info.traceback = traceback
    return info
