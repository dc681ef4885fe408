"""`celery_rs.wire.supersedes` as a filter of MongoDB: which documents a new record may replace. Pure.

Where the filter finds nothing the upsert tries to insert, and fails where there is a document all the same: so look
and write are one step. A document without an attempt, as Celery writes it, is of attempt 0.
"""

from typing import Any

from celery_rs import states

Filter = dict[str, Any]

_READY = sorted(states.READY_STATES)
_READY_BUT_SUCCESS = sorted(states.READY_STATES - {states.SUCCESS})
_WAITING = sorted({*states.UNREADY_STATES, states.STARTED} - {states.RETRY})


def replaceable(state: str, attempt: int) -> Filter:
    """Of records that one in `state` of `attempt` supersedes."""
    if state in states.READY_STATES:
        return {"$or": [_not_ready(), {"status": {"$in": _READY_BUT_SUCCESS}, **_earlier(attempt)}]}
    return {"$or": [{**_not_ready(), **_earlier(attempt)}, {**_of_no_more_weight(state), **_same(attempt)}]}


def likely(state: str, attempt: int) -> Filter:
    """The part of it that nearly always decides, and that any server finds by the id alone: it has no `$or`."""
    if state in states.READY_STATES:
        return _not_ready()
    return {**_of_no_more_weight(state), **_same(attempt)}


def _not_ready() -> Filter:
    return {"status": {"$nin": _READY}}


def _earlier(attempt: int) -> Filter:
    """Than that one."""
    return {"attempt": {"$not": {"$gte": attempt}}} if attempt > 0 else {"attempt": {"$lt": attempt}}


def _same(attempt: int) -> Filter:
    return {"attempt": attempt} if attempt > 0 else {"attempt": {"$not": {"$gt": 0}}}


def _of_no_more_weight(state: str) -> Filter:
    """Unready states that one of the same attempt may follow."""
    if state == states.RETRY:
        return _not_ready()
    if states.precedence(state) == states.NONE_PRECEDENCE:
        return {"status": {"$nin": [*_READY, states.RETRY]}}
    return {"status": {"$in": [over for over in _WAITING if states.precedence(state) <= states.precedence(over)]}}
