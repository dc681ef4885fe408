"""When a task that failed runs again: retry limits, autoretry, backoff and jitter. Pure."""

import random
from collections.abc import Callable
from typing import Any

from celery_rs.errors import Ignore, Retry

RETRY_DELAY = 180
"""Seconds before a retry that does not say when."""
BACKOFF_MAX = 600

Classes = tuple[type[BaseException], ...]


def is_spent(retries: int, max_retries: int | None) -> bool:
    """Whether a task that has been retried `retries` times may not be retried again."""
    return max_retries is not None and retries >= max_retries


def wants_retry(exc: BaseException, autoretry_for: Classes, dont_autoretry_for: Classes) -> bool:
    """Whether this error is one to retry by itself. A task's own Ignore and Retry never are."""
    return (
        bool(autoretry_for)
        and isinstance(exc, autoretry_for)
        and not isinstance(exc, (Ignore, Retry))
        and not (dont_autoretry_for and isinstance(exc, dont_autoretry_for))
    )


def backoff(retries: int, factor: float, most: float, jitter: bool, draw: Callable[[int], int]) -> int:
    """Seconds before retry number `retries` (from 0): factor × 2^retries, `most` at most.

    With jitter any whole number from 0 up to that; `draw(n)` is one of 0 … n-1. Celery cuts the factor to a whole
    number, 1 at least.
    """
    # 2 ** 1000 seconds are more than `most`, and computing more digits would be a way to stop a worker.
    delay = min(int(most), int(max(1.0, float(factor))) * 2 ** min(retries, 1000))
    return max(0, draw(delay + 1) if jitter else delay)


def autoretry_options(task: Any, retries: int, draw: Callable[[int], int] = random.randrange) -> dict[str, Any]:
    """What to give `task.retry`: the task's `retry_kwargs`, and the countdown where it has a backoff."""
    options = dict(getattr(task, "retry_kwargs", None) or {})
    factor = getattr(task, "retry_backoff", False)
    if factor:
        most = getattr(task, "retry_backoff_max", BACKOFF_MAX)
        options["countdown"] = backoff(retries, factor, most, getattr(task, "retry_jitter", True), draw)
    return options


def exception_classes(given: Any) -> Classes:
    """Exception classes from one, or a sequence of them. Raises TypeError."""
    found = (given,) if isinstance(given, type) else tuple(given or ())
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"an exception class was expected, got {kind!r}")
    return found
