"""The ends that the worker decides without running a task: expired, unknown, worn out, lost.

Each becomes a record for the waiting caller, unless the task's results are ignored.
"""

import time

from celery_rs import states
from celery_rs._core import DecodeError, Envelope
from celery_rs.errors import Terminated, TimeLimitExceeded, WorkerLostError
from celery_rs.execution import failure_record
from celery_rs.transports import Burial, Completion, Delivery
from celery_rs.wire import ControlReply, TaskResult
from celery_rs.worker.dispatcher import Dead, Entry, Expired
from celery_rs.worker.policy import Policy
from celery_rs.worker.pools import Lost


class Endings:
    """Makes completions and burials; knows the node's name for the records."""

    def __init__(self, hostname: str, policies: dict[str, Policy]) -> None:
        self._hostname = hostname
        self._policies = policies

    def burial(self, dead: Dead) -> Burial:
        envelope = dead.delivery.envelope
        record = None
        if dead.error is not None and not isinstance(envelope, DecodeError):
            record = self._record(envelope, dead.error, states.FAILURE)
        return Burial(dead.reason, dead.detail, record)

    def expiry(self, expired: Expired) -> Completion:
        return self._completion(expired.entry, expired.error, states.REVOKED)

    def loss(self, entry: Entry, event: Lost, *, asked: bool) -> Completion:
        """A run whose process died and that is not run again."""
        if event.by_us == "hard":
            return self._completion(entry, TimeLimitExceeded(entry.hard_limit), states.FAILURE)
        if event.by_us == "terminate" and asked:
            return self._completion(entry, Terminated(event.how), states.REVOKED)
        why = f"the process {event.pid} that ran it died ({event.how})"
        return self._completion(entry, WorkerLostError(why), states.FAILURE)

    def orphan(self, delivery: Delivery) -> Completion:
        """A task that a worker, dead since, had started under early acknowledgement."""
        envelope = delivery.envelope
        if isinstance(envelope, DecodeError):
            return Completion(delivery.tag)
        error = WorkerLostError("the worker that ran it died; it had acknowledged the message when the task started")
        return Completion(delivery.tag, record=self._record(envelope, error, states.FAILURE))

    def answer(self, ticket: str, reply: object) -> ControlReply:
        return ControlReply(self._hostname, reply, ticket)

    def _completion(self, entry: Entry, error: Exception, state: str) -> Completion:
        return Completion(entry.tag, record=self._record(entry.envelope, error, state))

    def _record(self, envelope: Envelope, error: Exception, state: str) -> TaskResult | None:
        policy = self._policies.get(envelope.task, Policy())
        ignored = policy.ignore_result if envelope.ignore_result is None else envelope.ignore_result
        if ignored and not policy.store_errors:
            return None
        return failure_record(envelope, error, state=state, now=time.time())
