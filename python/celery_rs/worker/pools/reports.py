"""What a child tells its parent, as flat data that crosses the page's ring or the socket.

Every report of a child carries a number that rises by one. Most reports lie in the ring; what is too big
for it, or finds it full, travels as a frame. The number puts the two ways back into one order.
"""

from collections.abc import Sequence
from typing import Any, cast

from celery_rs import states
from celery_rs.execution import Outcome
from celery_rs.transports import Outgoing, Route
from celery_rs.wire import ChordPart, Message, TaskResult
from celery_rs.worker.pools.pipe import decode, encode

READY = 0
"""The child takes jobs from now on; `job` is its pid."""
STARTED = 1
"""`value` is when, in monotonic seconds."""
PROGRESS = 2
"""`value` is a record to store now."""
FINISHED = 3
"""`value` is the outcome, flattened; the parent knows its tag."""
HEAVY = 4
"""The child takes no more jobs: `value` is the memory it needs, in KiB."""

SAID = 5
"""`value` is an event of the task's own."""

DONE = 6
"""A success from which nothing follows, as nearly all are: `value` is its runtime, its text and its record."""


ENDS = (DONE, FINISHED)

Report = tuple[int, int, int, Any]
"""Its number, its kind, the number that the parent gave to the job, a value. Plain, for there are many."""


def encode_report(number: int, kind: int, job: int, value: Any = None) -> bytes:
    """A `Report` as bytes."""
    try:
        return encode((number, kind, job, value))
    except ValueError:  # a text or number of a user's own type: rare, so only looked for now
        return encode(_plain((number, kind, job, value)))


def decode_report(payload: bytes) -> Report:
    """Raises ValueError, EOFError or TypeError when the payload was damaged."""
    return cast(Report, decode(payload))


def ending(outcome: Outcome) -> tuple[int, Any]:
    """Kind and value of the report that tells it: without our types, for `marshal` writes exact tuples only."""
    _, end, state, runtime, text, traceback, record, followups, part, expected = outcome
    told = record if record is None else tuple(record)
    if end == "success" and not followups and part is None:
        return DONE, (runtime, text, told)
    return FINISHED, (
        end,
        state,
        runtime,
        text,
        traceback,
        told,
        [_flatten_outgoing(outgoing) for outgoing in followups],
        part if part is None else tuple(part),
        expected,
    )


def rebuild(kind: int, tag: str, value: Sequence[Any]) -> Outcome:
    """The outcome of the job with this tag, from its report. Raises TypeError or ValueError when it is none."""
    if kind == DONE:
        runtime, text, record = value
        return Outcome(tag, "success", states.SUCCESS, runtime, text, None, _rebuild_record(record))
    end, state, runtime, text, traceback, record, followups, part, expected = value
    return Outcome(
        tag,
        end,
        state,
        runtime,
        text,
        traceback,
        _rebuild_record(record),
        [_rebuild_outgoing(outgoing) for outgoing in followups],
        part if part is None else ChordPart._make(part),
        expected,
    )


def _rebuild_record(flat: Sequence[Any] | None) -> TaskResult | None:
    return flat if flat is None else TaskResult._make(flat)


def _flatten_outgoing(outgoing: Outgoing) -> tuple[Any, ...]:
    message, route, *rest = outgoing
    return (tuple(message), tuple(route), *rest)


def _rebuild_outgoing(flat: Sequence[Any]) -> Outgoing:
    message, route, *rest = flat
    return Outgoing(Message._make(message), Route._make(route), *rest)


def _plain(value: Any) -> Any:
    """`value` with subclasses (a lazy text, an IntEnum priority) written as what they are underneath."""
    match value:
        case str():
            return str.__str__(value)
        case bytes():
            return bytes(value)
        case bool() | None:
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case tuple():
            return tuple(_plain(item) for item in value)
        case list():
            return [_plain(item) for item in value]
    return value
