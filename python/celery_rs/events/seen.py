"""One worker and one task as their events tell of them. The attributes are Celery's."""

import time
from typing import Any, ClassVar

from celery_rs import states

ALIVE_INTERVALS = 2.0
"""A worker is taken for dead after so many heartbeats that did not come."""

TASK_STATES = {
    "sent": states.PENDING,
    "received": states.RECEIVED,
    "started": states.STARTED,
    "succeeded": states.SUCCESS,
    "failed": states.FAILURE,
    "retried": states.RETRY,
    "revoked": states.REVOKED,
    "rejected": states.REJECTED,
}
_FACTS = (
    "name", "args", "kwargs", "eta", "expires", "retries", "result", "exception", "traceback", "runtime", "queue",
    "exchange", "routing_key", "root_id", "parent_id",
)  # fmt: skip
"""Fields of events that are attributes of their task."""


class SeenWorker:
    """A worker. `active` and `processed` are of its last heartbeat."""

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self.pid: int | None = None
        self.freq = 60.0
        self.clock = 0
        self.active: int | None = None
        self.processed: int | None = None
        self.loadavg: Any = None
        self.sw_ident: str | None = None
        self.sw_ver: str | None = None
        self.sw_sys: str | None = None
        self.last_heard: float | None = None
        """When its last heartbeat came, by our clock; None when it has said goodbye."""

    def take(self, what: str, event: dict[str, Any]) -> None:
        """Take in what the event says."""
        for name in ("pid", "clock", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys"):
            if name in event:
                setattr(self, name, event[name])
        freq = event.get("freq")
        if isinstance(freq, int | float) and freq > 0:
            self.freq = float(freq)
        if what == "offline":
            self.last_heard = None
        elif what in ("online", "heartbeat"):
            self.last_heard = event.get("local_received") or time.time()

    @property
    def heartbeat_expires(self) -> float | None:
        """When it will be taken for dead unless it is heard of before."""
        return None if self.last_heard is None else self.last_heard + self.freq * ALIVE_INTERVALS

    @property
    def alive(self) -> bool:
        expires = self.heartbeat_expires
        return expires is not None and time.time() < expires

    @property
    def status_string(self) -> str:
        return "ONLINE" if self.alive else "OFFLINE"

    @property
    def id(self) -> str:
        return f"{self.hostname}.{self.pid}"

    def __repr__(self) -> str:
        return f"<Worker: {self.hostname} ({self.status_string})>"


class SeenTask:
    """A task. What no event has told is None."""

    _info_fields: ClassVar[tuple[str, ...]] = (
        "args", "kwargs", "retries", "result", "eta", "runtime", "expires", "exception", "exchange", "routing_key",
        "root_id", "parent_id",
    )  # fmt: skip

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self.state = states.PENDING
        self.worker: SeenWorker | None = None
        self.client: str | None = None
        self.timestamp = 0.0
        """When the newest event that is known of it happened."""
        self.name: str | None = None
        self.args: str | None = None
        self.kwargs: str | None = None
        self.eta: str | None = None
        self.expires: str | None = None
        self.retries: int | None = None
        self.result: str | None = None
        self.exception: str | None = None
        self.traceback: str | None = None
        self.runtime: float | None = None
        self.queue: str | None = None
        self.exchange: str | None = None
        self.routing_key: str | None = None
        self.root_id: str | None = None
        self.parent_id: str | None = None
        self.clock = 0
        self.sent: float | None = None
        self.received: float | None = None
        self.started: float | None = None
        self.succeeded: float | None = None
        self.failed: float | None = None
        self.retried: float | None = None
        self.revoked: float | None = None
        self.rejected: float | None = None

    def take(self, what: str, event: dict[str, Any]) -> None:
        """Take in what the event says; its time under the name of what happened."""
        at = event.get("timestamp")
        at = float(at) if isinstance(at, int | float) else 0.0
        if what in TASK_STATES:
            setattr(self, what, at)
        state = TASK_STATES.get(what, what.upper())
        if self._goes_on_to(state, at):
            self.state = state
        if at >= self.timestamp:
            self.timestamp = at
            clock = event.get("clock")
            self.clock = clock if isinstance(clock, int) else self.clock
        late = at < self.timestamp
        for name in _FACTS:
            if name in event and (not late or getattr(self, name) is None):
                setattr(self, name, event[name])

    def _goes_on_to(self, state: str, at: float) -> bool:
        """Whether the task is in `state` now: not when the event only came late."""
        if at > self.timestamp and (states.RETRY in (self.state, state) or state == states.RECEIVED):
            return True  # it starts over
        return states.precedence(state) <= states.precedence(self.state)

    def info(self, fields: Any = None, extra: Any = ()) -> dict[str, Any]:
        """What is known of it, of these fields."""
        names = (*(fields or self._info_fields), *extra)
        return {name: value for name in names if (value := getattr(self, name, None)) is not None}

    def as_dict(self) -> dict[str, Any]:
        """Everything, the worker by its name."""
        return {**vars(self), "worker": None if self.worker is None else self.worker.hostname}

    @property
    def ready(self) -> bool:
        return self.state in states.READY_STATES

    @property
    def hostname(self) -> str | None:
        return None if self.worker is None else self.worker.hostname

    def __repr__(self) -> str:
        return f"<Task: {self.name}({self.uuid}) {self.state} clock:{self.clock}>"
