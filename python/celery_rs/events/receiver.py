"""Hear the events of workers and clients: `app.events.Receiver`.

Events are told at most once, and nothing from before is heard. A timestamp is the sender's true time, whatever zone it
is in: it is left as it is.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from celery_rs.context import AppLike
from celery_rs.control import ControlRequest, tell, transport_of
from celery_rs.transports import Subscription
from celery_rs.wire import Unreadable, event_exchange, new_id, open_events

EventDict = dict[str, Any]
Handler = Callable[[EventDict], object]

LOOK_S = 1.0
"""How often a capture looks whether it should stop."""
_OF_CLIENTS = "task-sent"


class Receiver:
    """Calls the handler of an event's type, else the one for `*`.

    It subscribes when it is made, so that nothing between that and the capture is missed; close it, or use it in a
    `with` block.
    """

    def __init__(
        self,
        app: AppLike,
        handlers: Mapping[str, Handler] | None = None,
        routing_key: str = "#",
        node_id: str | None = None,
        queue_prefix: str | None = None,
        connection: Any = None,
    ) -> None:
        self.app = app
        self.handlers: dict[str, Handler] = dict(handlers or {})
        self.routing_key = routing_key
        self.node_id = node_id or new_id()
        self.queue_prefix = queue_prefix or app.conf["event_queue_prefix"]
        self.should_stop = False
        """Set it to end a capture; a handler or another thread may."""
        transport = transport_of(connection, lambda: app.read_transport, "a receiver")
        self._subscription: Subscription = transport.subscribe(
            event_exchange(app.conf["event_exchange"]), routing_key, f"{self.queue_prefix}.{self.node_id}"
        )

    def capture(self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True) -> None:
        """Hand events to the handlers until `limit` of them have come, for ever without one.

        `wakeup`: ask workers for a heartbeat first, so that they are known at once. Raises TimeoutError when
        `timeout` seconds have passed without an event, OperationalError when the broker is gone.
        """
        for _ in self.itercapture(limit, timeout, wakeup):
            pass

    def itercapture(
        self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True
    ) -> Iterator[EventDict]:
        """The same, yielding each event once its handler has had it."""
        if wakeup:
            self.wakeup_workers()
        heard = 0
        self.should_stop = False
        while not self.should_stop and (limit is None or heard < limit):
            for event in self._wait(timeout):
                self.process(event["type"], event)
                heard += 1
                yield event

    def process(self, type: str, event: EventDict) -> None:
        """Give the event to its handler."""
        handler = self.handlers.get(type) or self.handlers.get("*")
        if handler is not None:
            handler(event)

    def wakeup_workers(self, channel: Any = None) -> None:
        """Ask workers for a heartbeat now. Raises OperationalError."""
        transport = transport_of(channel, lambda: self.app.transport, "waking workers")
        request = ControlRequest("heartbeat", {}, clock=self.app.clock.forward())
        tell(transport, request, base=self.app.conf["control_exchange"])

    def close(self) -> None:
        """Hear nothing more."""
        self._subscription.close()

    def _wait(self, timeout: float | None) -> Sequence[EventDict]:
        """The next events; none when it is time to stop. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.should_stop:
            left = LOOK_S if deadline is None else min(LOOK_S, deadline - time.monotonic())
            if left < 0:
                raise TimeoutError(f"no event came within {timeout:g} seconds")
            events = [event for raw in self._subscription.receive(left) for event in self._opened(raw)]
            if events:
                return events
        return []

    def _opened(self, raw: bytes) -> Sequence[EventDict]:
        """Anybody may write to the exchange: what is no event is passed over."""
        events = open_events(raw)
        if isinstance(events, Unreadable):
            return []
        now = time.time()
        for event in events:
            clock = event.get("clock")
            if not isinstance(clock, int) or not 0 <= clock < 2**53:
                event["clock"] = self.app.clock.forward()
            elif event["type"] != _OF_CLIENTS:  # clients do not hear the others, so their time says little
                self.app.clock.adjust(clock)
            event["local_received"] = now
        return events

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
