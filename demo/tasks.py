"""The demo's app and tasks. No broker is named, so everything lives in the file celery-rs.sqlite3 beside this one."""

import time

from celery_rs import Celery

app = Celery("tasks")


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def divide(x: float, y: float) -> float:
    return x / y


@app.task
def tick() -> float:
    """When it ran."""
    return time.time()
