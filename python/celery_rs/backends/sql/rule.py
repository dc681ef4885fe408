"""`celery_rs.wire.supersedes` as an expression of SQL, over a new record and the one that is there. Pure."""

from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.backends.sql.alchemy import sa

Column = sa.ColumnElement[Any]


class Standing(NamedTuple):
    """What decides which record may replace which."""

    status: Column
    attempt: Column


def standing(columns: Any) -> Standing:
    """Of a row. Rows that Celery has written may not say how often their task was retried."""
    return Standing(columns.status, sa.func.coalesce(columns.retries, sa.literal_column("0")))


def replaces(new: Standing, old: Standing) -> sa.ColumnElement[bool]:
    """Written with comparisons and CASE alone, which every database has."""
    later, earlier = new.attempt > old.attempt, new.attempt < old.attempt
    verdict = sa.case(
        (old.status == _word(states.SUCCESS), _NO),
        (sa.and_(_is_ready(old.status), _is_ready(new.status), later), _YES),
        (_is_ready(old.status), _NO),
        (sa.or_(_is_ready(new.status), later), _YES),
        (earlier, _NO),
        (new.status == _word(states.RETRY), _YES),
        (old.status == _word(states.RETRY), _NO),
        (_rank(new.status) <= _rank(old.status), _YES),
        else_=_NO,
    )
    return verdict == _YES


_YES, _NO = sa.literal_column("1", sa.Integer()), sa.literal_column("0", sa.Integer())


def _is_ready(status: Column) -> sa.ColumnElement[bool]:
    return sa.or_(*(status == _word(state) for state in sorted(states.READY_STATES)))


def _rank(status: Column) -> sa.ColumnElement[int]:
    ranks = [(status == _word(state), _number(rank)) for rank, state in enumerate(states.PRECEDENCE) if state]
    return sa.case(*ranks, else_=_number(states.NONE_PRECEDENCE))


def _word(state: str) -> sa.ColumnElement[str]:
    """In the statement's text: some drivers take no parameters behind the rows."""
    return sa.literal_column(f"'{state}'", sa.String())


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.Integer())
