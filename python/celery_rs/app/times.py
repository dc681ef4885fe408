"""When a call may start and until when: what `countdown`, `eta` and `expires` say, as a message carries it."""

import time
from datetime import UTC, datetime, timedelta, tzinfo
from sys import float_info
from typing import Any

NEVER: tuple[None, None] = (None, None)

_YEAR_10000 = 253402300800


def moment(eta: Any, countdown: Any, name: str, local: tzinfo | None) -> tuple[str | None, float | None]:
    """(ISO text, epoch seconds) of a time, or of some seconds from now; a countdown wins. Raises TypeError."""
    if countdown:
        if isinstance(countdown, bool) or not isinstance(countdown, int | float):
            raise TypeError(f"countdown must be seconds, got {countdown!r}")
        at = _in_range(time.time(), countdown, "countdown")
        return _text(at, local), at
    if eta is None:
        return NEVER
    if isinstance(eta, str):
        try:
            parsed = datetime.fromisoformat(eta)
        except ValueError:
            raise TypeError(f"{name} must be a datetime or ISO 8601 text, got {eta!r}") from None
        return eta, _epoch(parsed)
    if isinstance(eta, datetime):
        return eta.isoformat(), _epoch(eta)
    raise TypeError(f"{name} must be a datetime or ISO 8601 text, got {eta!r}")


def expiry(expires: Any, local: tzinfo | None) -> tuple[str | None, float | None, str | None]:
    """(ISO text, epoch seconds, milliseconds from now) of seconds from now, or a time. Raises TypeError."""
    if expires is None:
        return None, None, None
    now = time.time()
    if isinstance(expires, timedelta):
        expires = expires.total_seconds()
    if isinstance(expires, int | float) and not isinstance(expires, bool):
        at = _in_range(now, expires, "expires")
        text: str | None = _text(at, local)
    else:
        text, parsed = moment(expires, None, "expires", local)
        at = now if parsed is None else parsed
    return text, at, str(max(0, int((at - now) * 1000)))


def check_limits(**limits: Any) -> None:
    """Raises TypeError: what a worker could not read must not leave."""
    for name, limit in limits.items():
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= float_info.max:
            raise TypeError(f"{name} must be seconds, not below 0, got {limit!r}")


def _text(at: float, local: tzinfo | None) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(local).isoformat()


def _in_range(now: float, seconds: float, name: str) -> float:
    if not -now <= seconds < _YEAR_10000 - now:
        raise TypeError(f"{name} must be seconds from now within the calendar, got {seconds!r}")
    return now + seconds


def _epoch(parsed: datetime) -> float:
    """A naive time is UTC, as the receivers read it."""
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
