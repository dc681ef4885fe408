"""Where a result store in Redis keeps records, and how its scripts are told of them. Pure.

The broker's own scripts need it, since a finish stores the record in the same step.
"""

from typing import NamedTuple

from celery_rs import states
from celery_rs.transports.redis.link import Argument
from celery_rs.wire import ChordPart, TaskResult, with_attempt


class ResultKeys(NamedTuple):
    """`expires_s` 0 or None is for ever; failures have a length of time of their own, unless that is None."""

    prefix: str = ""
    expires_s: float | None = 86_400.0
    failure_expires_s: float | None = None
    plain: bool = True
    """Whether records are JSON as it is, which scripts can read."""

    def record(self, task_id: str) -> bytes:
        return f"{self.prefix}celery-task-meta-{task_id}".encode()

    def group(self, group: str) -> bytes:
        return f"{self.prefix}celery-taskset-meta-{group}".encode()

    def kept_ms(self, state: str = states.SUCCESS) -> int:
        """How long a record of that state is kept; 0 is for ever."""
        chosen = self.failure_expires_s if state == states.FAILURE else None
        seconds = self.expires_s if chosen is None else chosen
        return max(1, round(seconds * 1000)) if seconds else 0

    def storing(self, record: TaskResult) -> tuple[Argument, ...]:
        """A record as `lua/results.lua` reads it."""
        kept = self.kept_ms(record.state)
        return (
            self.record(record.task_id),
            with_attempt(record.meta, record.attempt),
            record.state,
            record.attempt,
            kept,
        )

    def counting(self, part: ChordPart) -> tuple[Argument, ...]:
        """A chord part as `lua/results.lua` reads it, in Celery's form."""
        score = "+inf" if part.index is None else str(part.index)
        counted = b'[1, "%b", "%b", %b]' % (part.task_id.encode(), part.state.encode(), part.result)
        return self.group(part.group), f"{part.task_id}:{score}", score, counted, self.kept_ms()
