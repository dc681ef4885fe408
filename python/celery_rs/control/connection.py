"""`app.connection()`: the app's broker as programs written for Celery hold it.

It owns nothing: the app keeps its connections, opens them when they are needed and closes them itself. It is there to
be passed on, to `app.events.Receiver(connection, ...)` or `app.control.broadcast(..., connection=connection)`.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from celery_rs.errors import NotSupported
from celery_rs.transports import Transport


class Connection:
    """The broker that messages are read from, or written to."""

    def __init__(self, open: Callable[[], Transport]) -> None:
        self._open = open

    @property
    def transport(self) -> Transport:
        return self._open()

    def as_uri(self) -> str:
        """The broker's URL, secrets masked."""
        return self.transport.describe()

    def ensure_connection(self, *_: Any, **__: Any) -> "Connection":
        """Ask the broker something. Raises OperationalError when it cannot be reached."""
        self.transport.queues(())
        return self

    connect = ensure_connection

    def release(self) -> None:
        """There is nothing to close: the connection is the app's."""

    close = release

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Connection: {self.as_uri()}>"


def transport_of(connection: Any, default: Callable[[], Transport], what: str) -> Transport:
    """The broker of a connection of ours, else the default. Raises NotSupported for anybody else's."""
    if connection is None:
        return default()
    if isinstance(connection, Connection):
        return connection.transport
    raise NotSupported(
        f"{what} with a connection like {type(connection).__name__}", "use app.connection(), or leave it out"
    )
