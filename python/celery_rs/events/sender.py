"""Events of a program's own: `app.events.default_dispatcher()`, `task.send_event` outside a worker, task-sent.

They are written at once by the thread that sends them. A worker's own events go through its `Emitter` instead.
"""

import os
import time
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any

from celery_rs.context import AppLike
from celery_rs.control import transport_of
from celery_rs.wire import Event, EventFields, event_exchange, seal_events


class Dispatcher:
    """Sends events to whoever listens. One that is not `enabled` sends nothing."""

    def __init__(
        self,
        app: AppLike,
        hostname: str | None = None,
        enabled: bool = True,
        groups: Iterable[str] = (),
        connection: Any = None,
    ) -> None:
        self.app = app
        self._transport = partial(transport_of, connection, lambda: app.transport, "a dispatcher")
        self.hostname = hostname or f"gen{os.getpid()}@{os.uname().nodename}"
        self.enabled = enabled
        self.groups = set(groups)
        """Only events of these groups (`task`, `worker`) are sent; all where none is named."""

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def send(self, type: str, /, **fields: Any) -> None:
        """Send an event such as `task-progress`. Raises OperationalError."""
        self.send_all([(type, fields)])

    def send_all(self, events: Iterable[tuple[str, EventFields]]) -> None:
        """Send several, each on its own. Raises OperationalError."""
        if not self.enabled:
            return
        exchange = event_exchange(self.app.conf["event_exchange"])
        now, pid = time.time(), os.getpid()
        said = [
            Event(name, now, pid, self.app.clock.forward(), fields, alone=True)
            for name, fields in events
            if not self.groups or name.partition("-")[0] in self.groups
        ]
        for key, envelopes in seal_events(said, exchange.name, self.hostname):
            self._transport().announce(exchange, key, envelopes)

    def close(self) -> None:
        """There is nothing to close: the connection is the app's."""

    def __enter__(self) -> "Dispatcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
