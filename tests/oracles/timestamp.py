"""ISO 8601 → epoch seconds, by a grammar and Python's `datetime`.

The grammar is needed because `fromisoformat` alone takes more than it says, another more in each Python:
`T20302030` is 20:30:20.3 to Python 3.11.
"""

import re
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATE = r"(\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d(?:-\d)?+|\d{4}W\d\d\d?+)"
TIME = r"(\d\d(?::\d\d(?::\d\d(?:[.,]\d+)?)?|\d\d(?:\d\d(?:[.,]\d+)?)?)?)"
MOMENT = re.compile(f"{DATE}(?:.{TIME}(?:[zZ]|([+-]){TIME})?)?", re.ASCII | re.DOTALL)


def timestamp(text: str) -> float:
    """Raises `ValueError`."""
    found = MOMENT.fullmatch(text)
    if not found:
        raise ValueError(text)
    day, time, sign, offset = found.groups()
    midnight = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    shift = -since_midnight(offset) if sign == "+" else since_midnight(offset)
    return (midnight - EPOCH + since_midnight(time) + shift).total_seconds()


def since_midnight(time: str | None) -> timedelta:
    return datetime.fromisoformat(f"1970-01-01T{time or '00'}").replace(tzinfo=UTC) - EPOCH
