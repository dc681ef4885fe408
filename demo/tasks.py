"""The demo's app and tasks. No broker is named, so everything lives in the file celery-rs.sqlite3 beside this one."""

import time
from typing import Any

from celery_rs import Celery

app = Celery("tasks")


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def divide(x: float, y: float) -> float:
    return x / y


@app.task(bind=True, default_retry_delay=0.2)
def flaky(self: Any, failures: int) -> str:
    """Fails so often, then works."""
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError("no luck"))
    return f"worked at attempt {self.request.retries + 1}"


@app.task(track_started=True)
def nap(seconds: float) -> str:
    time.sleep(seconds)
    return "slept well"


@app.task
def tick() -> float:
    """When it ran."""
    return time.time()
