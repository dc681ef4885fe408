"""`app.events`: hearing events, knowing workers and tasks by them, sending one's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery_rs.context import AppLike
from celery_rs.events.cluster import TASKS_MOST, WORKERS_MOST, State
from celery_rs.events.receiver import Handler, Receiver
from celery_rs.events.sender import Dispatcher as Sender


class Events:
    """One per app. Methods in capitals make things, as in Celery; a connection is `app.connection()`, or left out."""

    receiver_cls: type[Receiver] = Receiver
    dispatcher_cls: type[Sender] = Sender
    state_cls: type[State] = State

    def __init__(self, app: AppLike) -> None:
        self.app = app

    def Receiver(  # noqa: N802  (Celery's name)
        self,
        channel: Any = None,
        handlers: Mapping[str, Handler] | None = None,
        routing_key: str = "#",
        node_id: str | None = None,
        queue_prefix: str | None = None,
    ) -> Receiver:
        """Hears events from now on."""
        return self.receiver_cls(self.app, handlers, routing_key, node_id, queue_prefix, channel)

    def Dispatcher(  # noqa: N802  (Celery's name)
        self,
        connection: Any = None,
        hostname: str | None = None,
        enabled: bool = True,
        channel: Any = None,
        groups: Any = (),
    ) -> Sender:
        """Sends events of one's own."""
        return self.dispatcher_cls(self.app, hostname, enabled, groups or (), channel or connection)

    def State(  # noqa: N802  (Celery's name)
        self,
        callback: Callable[[State, dict[str, Any]], object] | None = None,
        max_workers_in_memory: int = WORKERS_MOST,
        max_tasks_in_memory: int = TASKS_MOST,
    ) -> State:
        """Knows workers and tasks by their events."""
        return self.state_cls(callback, max_workers_in_memory, max_tasks_in_memory)

    @contextmanager
    def default_dispatcher(
        self, hostname: str | None = None, enabled: bool = True, buffer_while_offline: bool = False
    ) -> Iterator[Sender]:
        """A dispatcher for the block."""
        with self.dispatcher_cls(self.app, hostname, enabled) as dispatcher:
            yield dispatcher
