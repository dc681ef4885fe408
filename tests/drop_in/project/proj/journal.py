"""What happened, a line each, written at once: processes that are killed have said what they had to say."""

import json
import os

from celery import current_task


def shown(value):
    return f"{type(value).__name__}: {value}"


def note(what, task_id=None, **more):
    run = current_task.request.retries if current_task else 0
    line = json.dumps({"what": what, "id": task_id, "run": run, **more}, sort_keys=True, default=shown)
    file = os.open(os.environ["PROJ_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)
