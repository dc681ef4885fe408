"""What the worker tells monitors about itself and its tasks, as events in Celery's form (wire 7.2).

On the loop's thread; the emitter's writes them. `tasks` is the flag that everybody looks at first: while it is off,
nothing about tasks is put together.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from celery_rs import signals
from celery_rs._core import RELEASE, DecodeError, Envelope
from celery_rs.events import Emitter
from celery_rs.execution import Outcome, Said
from celery_rs.wire import iso
from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.heart import Heart
from celery_rs.worker.notices import Notices

SOFTWARE: Mapping[str, str] = {"sw_ident": "celery-rs", "sw_ver": RELEASE, "sw_sys": os.uname().sysname}


class Load(NamedTuple):
    """How busy the worker is: tasks that run, and all that have started since it did."""

    active: int
    processed: int


class Bulletin:
    """`tasks`: whether events of tasks are sent; remote control may change it."""

    def __init__(self, emitter: Emitter, heart: Heart, *, tasks: bool) -> None:
        self.tasks = tasks
        self._emitter = emitter
        self._heart = heart
        self._freq = heart.interval or 0.0

    # the worker itself

    def due(self) -> float | None:
        """When the next heartbeat is, by the monotonic clock."""
        return self._heart.due()

    def online(self, load: Load, notices: Notices, now: float) -> None:
        if self._heart.interval is not None:
            self._heart.start(now)
            self._tell("worker-online", load, notices)

    def beat(self, load: Load, notices: Notices) -> None:
        """A heartbeat, unless the broker is away: an old one is worth nothing."""
        if not self._emitter.away:
            self._tell("worker-heartbeat", load, notices)

    def beats(self, now: float) -> bool:
        """Whether it is time for a heartbeat."""
        return self._heart.beats(now)

    def offline(self, load: Load, notices: Notices) -> None:
        if self._heart.interval is not None:
            self._tell("worker-offline", load, notices)

    def _tell(self, type: str, load: Load, notices: Notices) -> None:
        if signals.heartbeat_sent.receivers:
            notices.tell(signals.heartbeat_sent, self)
        loadavg = [round(figure, 2) for figure in os.getloadavg()]
        fields = {"freq": self._freq, "active": load.active, "processed": load.processed, "loadavg": loadavg}
        self._emitter.emit(type, {**fields, **SOFTWARE}, alone=True)

    # its tasks

    def received(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.policy.send_events:
                self._emitter.emit("task-received", _told_when_received(entry.envelope))

    def started(self, entry: Entry, at: float) -> None:
        """`at` is epoch seconds."""
        if entry.policy.send_events:
            self._emitter.emit("task-started", {"uuid": entry.envelope.id}, timestamp=at)

    def ended(self, entry: Entry, outcome: Outcome) -> None:
        """The end of a run; also its start, if that was not told: a short one is seen only when it is over."""
        if not entry.policy.send_events:
            return
        if not entry.begun:
            self.started(entry, time.time() - outcome.runtime)
        said = _ENDS.get(outcome.end)
        if said is not None:
            name, fields = said
            self._emitter.emit(name, {"uuid": entry.envelope.id, **fields(outcome)})

    def lost(self, entry: Entry, error: Exception, *, again: bool = False) -> None:
        """A run whose process died; `again`: it is sent once more."""
        if entry.policy.send_events:
            if not entry.begun:
                self.started(entry, time.time())
            self._failed(entry.envelope, error, "task-retried" if again else "task-failed")

    def dead(self, envelope: Envelope | DecodeError, error: Exception | None) -> None:
        """A message that is not run, and whose caller gets this error: a dead letter, an orphan."""
        if error is not None and isinstance(envelope, Envelope):
            self._failed(envelope, error)

    def revoked(self, entry: Entry, *, expired: bool = False, signum: int | None = None) -> None:
        if entry.policy.send_events:
            told = {"terminated": signum is not None, "signum": signum, "expired": expired}
            self._emitter.emit("task-revoked", {"uuid": entry.envelope.id, **told})

    def _failed(self, envelope: Envelope, error: Exception, type: str = "task-failed") -> None:
        self._emitter.emit(type, {"uuid": envelope.id, "exception": repr(error), "traceback": None})

    # what a task says itself

    def said(self, said: Said) -> None:
        """An event of the task's own (`send_event`): told whether events of tasks are on or not, as in Celery."""
        self._emitter.emit(said.type, json.loads(said.fields), timestamp=said.timestamp, pid=said.pid, alone=True)


def _told_when_received(envelope: Envelope) -> dict[str, Any]:
    return {
        "uuid": envelope.id,
        "name": envelope.task,
        "args": envelope.argsrepr,
        "kwargs": envelope.kwargsrepr,
        "root_id": envelope.root_id or envelope.id,
        "parent_id": envelope.parent_id,
        "retries": envelope.retries,
        "eta": None if envelope.eta is None else iso(envelope.eta),
        "expires": None if envelope.expires is None else iso(envelope.expires),
    }


def _error(outcome: Outcome) -> dict[str, Any]:
    return {"exception": outcome.text, "traceback": outcome.traceback}


def _cause(outcome: Outcome) -> dict[str, Any]:
    """`Retry in 1s: KeyError('k')` is told as its cause."""
    retry, _, cause = outcome.text.partition(": ")
    return {"exception": cause or retry, "traceback": outcome.traceback}


_ENDS: Mapping[str, tuple[str, Callable[[Outcome], dict[str, Any]]]] = {
    "success": ("task-succeeded", lambda outcome: {"result": outcome.text, "runtime": outcome.runtime}),
    "failure": ("task-failed", _error),
    "retry": ("task-retried", _cause),
    "reject": ("task-rejected", lambda _: {"requeue": False}),
    "requeue": ("task-rejected", lambda _: {"requeue": True}),
}
