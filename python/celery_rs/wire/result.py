"""The stored record of a task, and the rule that it never goes backwards."""

from typing import NamedTuple

from celery_rs import states


class TaskResult(NamedTuple):
    """One record for the result store.

    `meta` is the record as Celery stores it (a JSON object with `status`, `result`, `traceback`,
    `children`, `date_done`, `task_id`, ...), already encoded; the store never looks inside.
    `attempt` is the `retries` of the delivery that produced it. `reply_to` is the queue of who called, for stores that
    send results there; no store keeps it.
    """

    task_id: str
    state: str
    attempt: int
    meta: bytes
    reply_to: str = ""


class ChordPart(NamedTuple):
    """One finished member of a chord's header. `result` is its encoded value or failure."""

    group: str
    task_id: str
    index: int | None  # type: ignore[assignment]  # Celery's word; nobody searches a part as a tuple
    state: str
    result: bytes


def supersedes(state: str, attempt: int, *, over: str, over_attempt: int) -> bool:
    """Whether a record in `state` of `attempt` may replace one in `over` of `over_attempt`.

    SUCCESS is replaced by nothing. Another ready state is replaced only by a ready state of a higher
    attempt. An unready state is replaced by any state of a higher attempt, by a state of the same attempt
    that does not rank below it, and never by an earlier attempt unless that is ready.
    Custom states of one attempt replace each other (progress). This function is the oracle of every store's own
    statement.
    """
    if over == states.SUCCESS:
        return False
    ready = state in states.READY_STATES
    if over in states.READY_STATES:
        return ready and attempt > over_attempt
    if ready or attempt > over_attempt:
        return True
    if attempt < over_attempt:
        return False
    if over == states.RETRY:
        return state == states.RETRY
    return states.precedence(state) <= states.precedence(over) or state == states.RETRY
