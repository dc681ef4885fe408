"""How the end of a run settles its message (pure): a table, after Celery's acknowledgement rules.

Early acknowledgement has given up redelivery when the task started, so nothing goes back to the queue. A
rejected message becomes a dead letter in both cases: refusing is no reason to lose it.
"""

from typing import Literal

from celery_rs.execution import End, is_spent
from celery_rs.worker.policy import Policy

Settling = Literal["done", "rejected", "bury", "back", "crashed", "retry"]
"""Done and rejected finish it; bury makes it a dead letter; back returns it to its queue, crashed with a mark; retry
sends it once more, as a new message."""


def of_end(end: End, policy: Policy) -> Settling:
    """A run that ended by itself."""
    if end == "failure" and policy.late and not policy.acks_on_failure:
        return "rejected"
    if end == "reject":
        return "bury"
    if end == "requeue" and policy.late:
        return "back"
    return "done"


def of_loss(by_us: Literal["hard", "terminate"] | None, policy: Policy, retries: int = 0) -> Settling:
    """A run whose process died: by its hard limit, on request, or by itself. `retries` are those it has had."""
    if by_us is None and policy.retry_on_worker_lost:
        return "done" if is_spent(retries, policy.max_retries) else "retry"
    if not policy.late or by_us == "terminate":
        return "done"
    # A run that its hard limit killed would be killed again: without a mark it would go round for ever.
    again = policy.reject_on_worker_lost if by_us is None else not policy.acks_on_timeout
    return "crashed" if again else "done"
