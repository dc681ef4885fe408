"""An event of a task's own, on its way from where the task runs to who sends the worker's events."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery_rs.serializers import JSON


class Said(NamedTuple):
    """`fields` is a JSON object, since it crosses between processes as plain data."""

    type: str
    timestamp: float
    pid: int
    fields: bytes

    @classmethod
    def now(cls, type: str, fields: Mapping[str, Any]) -> "Said":
        """Raises EncodeError for a field that JSON cannot carry."""
        return cls(type, time.time(), os.getpid(), JSON.dumps(dict(fields), f"the fields of the event {type!r}"))
