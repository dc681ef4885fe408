"""A received message as user code in the worker's main process sees it: signal receivers, remote commands.

Named as in Celery's worker. Nothing is decoded until somebody asks, and only JSON ever is: opening another body could
run code.
"""

import json
from datetime import datetime
from functools import cached_property
from typing import Any

from celery_rs._core import DecodeError, Envelope
from celery_rs.context import AppLike
from celery_rs.errors import Retry
from celery_rs.wire import instant


class Message:
    """What came from the broker: `headers`, `properties`, `body`, `delivery_info`, `payload`."""

    def __init__(self, envelope: Envelope | DecodeError) -> None:
        self._envelope = envelope if isinstance(envelope, Envelope) else None
        self.body = envelope.raw if isinstance(envelope, DecodeError) else envelope.body

    @property
    def content_type(self) -> str | None:
        return self._envelope and self._envelope.content_type

    @property
    def content_encoding(self) -> str | None:
        return self._envelope and self._envelope.content_encoding

    @cached_property
    def headers(self) -> dict[str, Any]:
        """Empty where the message cannot be read."""
        return {} if self._envelope is None else _object(self._envelope.headers)

    @cached_property
    def properties(self) -> dict[str, Any]:
        return {} if self._envelope is None else _object(self._envelope.properties)

    @property
    def delivery_info(self) -> dict[str, Any]:
        envelope = self._envelope
        if envelope is None:
            return {}
        return {"exchange": envelope.exchange, "routing_key": envelope.routing_key, "priority": envelope.priority}

    @cached_property
    def payload(self) -> Any:
        """The decoded body, `[args, kwargs, embed]`. Raises ValueError when it is not JSON."""
        if self._envelope is None or self._envelope.content_type != "application/json" or self._envelope.compression:
            raise ValueError(f"the body of this message is not plain JSON, got content type {self.content_type!r}")
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Message: {len(self.body)} bytes of {self.content_type} {self.delivery_info}>"


class Request:
    """One task that this worker has received."""

    def __init__(
        self, app: AppLike, hostname: str, envelope: Envelope, *, redelivered: bool = False, acknowledged: bool = False
    ) -> None:
        self.app = app
        self.hostname = hostname
        self.envelope = envelope
        self.acknowledged = acknowledged
        self.time_start: float | None = None
        """Epoch seconds; None before the task has started."""
        self.worker_pid: int | None = None
        self._redelivered = redelivered
        self.message = Message(envelope)

    @property
    def id(self) -> str:
        return self.envelope.id

    task_id = id

    @property
    def type(self) -> str:
        """The task's registered name."""
        return self.envelope.task

    task_name = type

    @property
    def name(self) -> str:
        """What logs call it: the shadow name, if it has one."""
        return self.envelope.shadow or self.envelope.task

    @property
    def task(self) -> Any:
        """The task itself; None when it is not registered here."""
        return self.app.tasks.get(self.envelope.task)

    @property
    def headers(self) -> dict[str, Any]:
        return self.message.headers

    request_dict = headers

    @property
    def args(self) -> Any:
        """The positional arguments; their sender's repr where the body cannot be shown."""
        return self._arguments[0]

    @property
    def kwargs(self) -> Any:
        return self._arguments[1]

    @cached_property
    def _arguments(self) -> tuple[Any, Any]:
        try:
            args, kwargs, _embed = self.message.payload
        except (ValueError, TypeError, RecursionError):
            return self.argsrepr, self.kwargsrepr
        return args, kwargs

    @property
    def argsrepr(self) -> str:
        return self.envelope.argsrepr

    @property
    def kwargsrepr(self) -> str:
        return self.envelope.kwargsrepr

    @property
    def eta(self) -> datetime | None:
        return _time(self.envelope.eta)

    @property
    def expires(self) -> datetime | None:
        return _time(self.envelope.expires)

    @property
    def retries(self) -> int:
        return self.envelope.retries

    @property
    def root_id(self) -> str | None:
        return self.envelope.root_id

    @property
    def parent_id(self) -> str | None:
        return self.envelope.parent_id

    @property
    def group(self) -> str | None:
        return self.envelope.group

    @property
    def correlation_id(self) -> str | None:
        return self.message.properties.get("correlation_id")

    @property
    def reply_to(self) -> str | None:
        return self.envelope.reply_to

    @property
    def ignore_result(self) -> bool:
        return bool(self.envelope.ignore_result)

    @property
    def delivery_info(self) -> dict[str, Any]:
        return {**self.message.delivery_info, "redelivered": self._redelivered}

    # what becomes of it, told in the main process where a task names a subclass: `class MyTask(Task): Request = Mine`.
    # In Celery these methods do the work; here it is done whatever they do, and calling `super()` is harmless.

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """It has started in that process, at this monotonic time."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """It has run past a limit of so many seconds; past the hard one its process is killed."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """It ended by an exception, one that decides its end included (Retry, Ignore, Reject), or its process died."""
        if isinstance(exc_info.exception, Retry):
            self.on_retry(exc_info)

    def on_retry(self, exc_info: Any) -> None:
        """It is going to run again."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What `inspect active` shows; `safe`: the arguments as their sender's reprs."""
        return {
            "id": self.id,
            "name": self.type,
            "args": self.argsrepr if safe else self.args,
            "kwargs": self.kwargsrepr if safe else self.kwargs,
            "type": self.type,
            "hostname": self.hostname,
            "time_start": self.time_start,
            "acknowledged": self.acknowledged,
            "delivery_info": self.delivery_info,
            "worker_pid": self.worker_pid,
        }

    def __str__(self) -> str:
        return f"{self.name}[{self.id}]"

    def __repr__(self) -> str:
        return f"<Request: {self} {self.argsrepr} {self.kwargsrepr}>"


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)  # the extension has read it already
    return value if isinstance(value, dict) else {}
