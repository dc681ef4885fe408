"""What a remote command may know and touch: the worker's face towards its commands.

Commands run on the loop's thread, one at a time, so they may change what they are given. The worker implements this;
tests use a plain class.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from celery_rs._core import Envelope
from celery_rs.context import AppLike
from celery_rs.wire import Queue


class ActiveTask(NamedTuple):
    """A task that runs now. `time_start` is epoch seconds, None before the child has said so."""

    envelope: Envelope
    queue: str
    redelivered: bool
    acknowledged: bool
    time_start: float | None
    worker_pid: int | None


class WorkerState(Protocol):
    """A running worker, as its commands see it."""

    @property
    def hostname(self) -> str:
        """The node's name."""
        ...

    @property
    def app(self) -> AppLike: ...
    def set_rate(self, task: str, rate: str | float | None) -> None:
        """From now on; what waits for a token waits as long as the new rate says. Raises ValueError."""
        ...

    def active(self) -> Sequence[ActiveTask]: ...
    def reserved(self) -> Sequence[ActiveTask]:
        """Held here and not started, parked ones left out."""
        ...

    def queues(self) -> Sequence[Queue]:
        """What it consumes from."""
        ...

    def stats(self) -> Mapping[str, object]:
        """Celery's `stats` (docs/internals/wire-protocol.md, 6.3), JSON values only."""
        ...
