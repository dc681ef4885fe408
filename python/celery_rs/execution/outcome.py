"""What became of one run of a task: the executor's answer, already encoded."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from celery_rs.transports import Outgoing
from celery_rs.wire import ChordPart, TaskResult

End = Literal["success", "failure", "retry", "ignore", "reject", "requeue", "revoked"]


class Outcome(NamedTuple):
    """`runtime` is seconds; `text` is for the log line: the result's repr, or the error's.

    `expected` marks a failure that the task's `throws` names.
    `record` is None when nothing is to be stored; `followups` are what the run sends, a retry included.
    """

    tag: str
    end: End
    state: str
    runtime: float
    text: str = ""
    traceback: str | None = None
    record: TaskResult | None = None
    followups: Sequence[Outgoing] = ()
    part: ChordPart | None = None
    expected: bool = False
