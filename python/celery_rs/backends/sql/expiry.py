"""When rows go: so long after their `date_done`, which is UTC without saying so. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from celery_rs import states
from celery_rs.backends.sql.alchemy import sa
from celery_rs.wire import instant


def date_of(moment: float) -> datetime:
    """As Celery writes it. Whole seconds where the column has no others is the caller's business."""
    return instant(moment).replace(tzinfo=None)


_FIRST_DAY = date_of(-30_609_792_000.0)
"""Of the year 1000, with which MySQL's calendar begins."""


class Expiry(NamedTuple):
    """Seconds that records are kept (None: for ever), and failures (0: for ever; None: as the others)."""

    expires: float | None
    failure_expires: float | None = None

    def lasts(self, status: str = states.SUCCESS) -> float | None:
        alike = status != states.FAILURE or self.failure_expires is None
        return (self.expires if alike else self.failure_expires) or None

    def gone(self, table: sa.Table, now: float) -> sa.ColumnElement[bool]:
        """Whether a row of that table has expired. Rows without a date stay, as in Celery."""
        dated = table.c.date_done
        others, failures = self.lasts(), self.lasts(states.FAILURE)
        if "status" not in table.c or others == failures:
            return sa.false() if others is None else dated <= _day(now, others)
        failed = table.c.status == states.FAILURE
        return sa.or_(
            sa.false() if failures is None else sa.and_(failed, dated <= _day(now, failures)),
            sa.false() if others is None else sa.and_(sa.not_(failed), dated <= _day(now, others)),
        )


def _day(now: float, lasts: float) -> datetime:
    try:
        return date_of(now) - timedelta(seconds=lasts)
    except OverflowError:
        return _FIRST_DAY
