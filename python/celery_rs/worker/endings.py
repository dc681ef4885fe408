"""The ends that the worker decides without running a task: expired, revoked, unknown, worn out, lost.

Each becomes a record for the waiting caller, unless the task's results are ignored.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from celery_rs import states
from celery_rs._core import DecodeError, Envelope
from celery_rs.context import AppLike
from celery_rs.errors import InvalidTaskError, TaskRevokedError, TimeLimitExceeded, WorkerLostError
from celery_rs.execution import Work, failure_record, tell_failure, tell_retry
from celery_rs.transports import Burial, Completion, Delivery, Outgoing
from celery_rs.wire import ControlReply, ResultCodec, TaskResult, id_of
from celery_rs.worker.addressing import addressed
from celery_rs.worker.dispatcher import Dead, Entry, Expired, Revoked
from celery_rs.worker.policy import Policy
from celery_rs.worker.pools import Lost
from celery_rs.worker.resend import as_retry


class Endings:
    """Makes completions and burials; with an `app`, tells its tasks of failures that their process could not tell."""

    def __init__(self, hostname: str, policies: dict[str, Policy], app: AppLike | None = None) -> None:
        self._hostname = hostname
        self._policies = policies
        self._app = app

    def burial(self, dead: Dead) -> Burial:
        envelope = dead.delivery.envelope
        record = None
        if isinstance(envelope, DecodeError):
            record = _unreadable(envelope, self._codec())
        elif dead.error is not None:
            record = self._record(envelope, dead.error, states.FAILURE)
        return Burial(dead.reason, dead.detail, addressed(record, envelope))

    def expiry(self, expired: Expired) -> Completion:
        return self._completion(expired.entry, expired.error, states.REVOKED)

    def revocation(self, revoked: Revoked) -> Completion:
        return self._completion(revoked.entry, TaskRevokedError("revoked"), states.REVOKED)

    def loss(self, entry: Entry, event: Lost, *, asked: bool) -> Completion:
        """A run whose process died and that is not run again."""
        if event.by_us == "terminate" and asked:
            return self._completion(entry, TaskRevokedError("terminated"), states.REVOKED)
        return self._failure(entry, cause_of(entry, event))

    def retry(self, entry: Entry, event: Lost) -> Completion:
        """A run whose process died and that is sent again, after the delay of the task's retries."""
        error, delay = cause_of(entry, event), entry.policy.retry_delay
        if self._app is not None:
            tell_retry(self._app, _work(entry), error, countdown=delay, hostname=self._hostname)
        again = as_retry(entry.envelope, due=time.time() + delay)
        return self._completion(entry, error, states.RETRY)._replace(followups=[again])

    def orphan(self, delivery: Delivery) -> Completion:
        """A task that a worker, dead since, had started under early acknowledgement."""
        envelope = delivery.envelope
        if isinstance(envelope, DecodeError):
            return Completion(delivery.tag, record=addressed(_unreadable(envelope, self._codec()), envelope))
        error = orphaned()
        redelivered = delivery.redelivered
        work = Work.of(delivery.tag, envelope, delivery.queue, redelivered=redelivered, announce=False, late=False)
        followups = self._tell(work, error)
        record = addressed(self._record(envelope, error, states.FAILURE), envelope)
        return Completion(delivery.tag, "done", followups, record)

    def answer(self, ticket: str, reply: object) -> ControlReply:
        return ControlReply(self._hostname, reply, ticket)

    def _failure(self, entry: Entry, error: Exception) -> Completion:
        followups = self._tell(_work(entry), error)
        return self._completion(entry, error, states.FAILURE)._replace(followups=followups)

    def _tell(self, work: Work, error: Exception) -> Sequence[Outgoing]:
        return () if self._app is None else tell_failure(self._app, work, error, hostname=self._hostname)

    def _completion(self, entry: Entry, error: Exception, state: str) -> Completion:
        return Completion(entry.tag, record=addressed(self._record(entry.envelope, error, state), entry.envelope))

    def _record(self, envelope: Envelope, error: Exception, state: str) -> TaskResult | None:
        policy = self._policies.get(envelope.task, Policy())
        ignored = policy.ignore_result if envelope.ignore_result is None else envelope.ignore_result
        if ignored and not policy.store_errors:
            return None
        return failure_record(envelope, error, state=state, now=time.time(), codec=self._codec())

    def _codec(self) -> ResultCodec:
        return ResultCodec() if self._app is None else ResultCodec.of(self._app.conf)


class _Sent(NamedTuple):
    """What is known of a task whose message cannot be read."""

    id: str
    retries: int = 0
    group: str | None = None
    parent_id: str | None = None


def _unreadable(envelope: DecodeError, codec: ResultCodec) -> TaskResult | None:
    """For a caller who waits, if the message tells whose it is."""
    id = id_of(envelope.raw)
    error = InvalidTaskError(f"the worker cannot read this message: {envelope.reason}")
    return None if id is None else failure_record(_Sent(id), error, now=time.time(), codec=codec)


def _work(entry: Entry) -> Work:
    late = entry.policy.late
    return Work.of(entry.tag, entry.envelope, entry.queue, redelivered=entry.redelivered, announce=False, late=late)


def cause_of(entry: Entry, event: Lost) -> Exception:
    """Why a run whose process died has failed."""
    if event.by_us == "hard":
        return TimeLimitExceeded(entry.hard_limit)
    return WorkerLostError(f"the process {event.pid} that ran it died ({event.how})")


def orphaned() -> WorkerLostError:
    """Why a task has failed that a worker had started and acknowledged before it died."""
    return WorkerLostError("the worker that ran it died; it had acknowledged the message when the task started")
