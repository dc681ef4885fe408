"""When documents go: at their `expires_at`; those of Celery, which have none, so long after their `date_done`. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.backends.mongodb.rule import Filter
from celery_rs.wire import instant


class Expiry(NamedTuple):
    """Seconds that records are kept (None: for ever), and failures (0: for ever; None: as the others)."""

    expires: float | None
    failure_expires: float | None = None

    def lasts(self, state: str = states.SUCCESS) -> float | None:
        alike = state != states.FAILURE or self.failure_expires is None
        return (self.expires if alike else self.failure_expires) or None

    def field(self, now: float, state: str = states.SUCCESS) -> dict[str, datetime]:
        """What a document of ours says of it: nothing where it stays."""
        lasts = self.lasts(state)
        return {"expires_at": instant(now + lasts)} if lasts else {}

    def is_gone(self, document: Mapping[str, Any], now: float) -> bool:
        """Whether it has expired."""
        expires, done = document.get("expires_at"), document.get("date_done")
        if isinstance(expires, datetime):
            return expires <= instant(now)
        lasts = self.lasts(document.get("status", states.SUCCESS))
        return lasts is not None and isinstance(done, datetime) and done <= instant(now - lasts)

    def gone(self, now: float) -> Filter:
        """The same as a filter."""
        others, failures = self.lasts(), self.lasts(states.FAILURE)
        choices: list[Filter] = [{"expires_at": {"$lte": instant(now)}}]
        if others == failures:
            choices += _of_celery({}, now, others)
        else:
            choices += _of_celery({"status": states.FAILURE}, now, failures)
            choices += _of_celery({"status": {"$ne": states.FAILURE}}, now, others)
        return {"$or": choices}


def _of_celery(which: dict[str, Any], now: float, lasts: float | None) -> list[Filter]:
    if lasts is None:
        return []
    return [{**which, "expires_at": {"$exists": False}, "date_done": {"$lte": instant(now - lasts)}}]
