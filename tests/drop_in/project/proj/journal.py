"""What happened, a line each, written at once: processes that are killed have said what they had to say."""

import json
import os


def shown(value):
    return f"{type(value).__name__}: {value}"


def note(what, task_id=None, **more):
    line = json.dumps({"what": what, "id": task_id, **more}, sort_keys=True, default=shown)
    file = os.open(os.environ["PROJ_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)
