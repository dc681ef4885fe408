"""What a pool promises the worker's loop, and the data that passes between them.

The loop's thread calls every method and no other thread does. A pool never blocks in them: it
registers its sockets with the loop's selector through `watch` and posts events.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from celery_rs._core import Envelope
from celery_rs.execution import Outcome, Said
from celery_rs.transports import Tag
from celery_rs.wire import TaskResult


class Job(NamedTuple):
    """One task to run. `announce` asks for a `Started`; `late` says its acknowledgement waits for the end."""

    tag: Tag
    envelope: Envelope
    queue: str
    redelivered: bool
    announce: bool
    late: bool


class Started(NamedTuple):
    """A job that was announced has started. `began_at` is monotonic seconds."""

    tag: Tag
    pid: int
    began_at: float


class Progress(NamedTuple):
    """A record stored in the middle of a job (custom states)."""

    tag: Tag
    record: TaskResult


class Announced(NamedTuple):
    """An event that a job sends of its own."""

    tag: Tag
    said: Said


class Finished(NamedTuple):
    outcomes: Sequence[Outcome]


class Returned(NamedTuple):
    """Jobs that were submitted, recalled, and never started; oldest first."""

    tags: Sequence[Tag]


class Lost(NamedTuple):
    """The child died while it ran this job. `how` is for people: `signal 9 (SIGKILL)` or `exit code 3`."""

    tag: Tag
    pid: int
    how: str
    by_us: Literal["hard", "terminate"] | None
    """Set when the pool killed it on the loop's orders."""


class PoolBroken(NamedTuple):
    """The pool cannot go on (its nursery died); the worker stops and gives everything back."""

    reason: str


PoolEvent = Started | Progress | Announced | Finished | Returned | Lost | PoolBroken
Watch = Callable[[int, Callable[[], None]], Callable[[], None]]
"""watch(file descriptor, callback when readable) → function that ends the watching."""


class Running(NamedTuple):
    """A job that runs now: for time limits, `inspect active` and `stats`."""

    tag: Tag
    pid: int
    began_at: float


class Pool(Protocol):
    """Runs jobs. Capacity is in jobs that can run at once."""

    size: int
    most: int
    """How far it can be resized."""
    blocks: bool
    """Jobs run in the loop's own thread: while one does, nobody looks."""

    def start(self, post: Callable[[PoolEvent], None], watch: Watch) -> None: ...
    def room(self, *, batch: int) -> int:
        """How many jobs it would take now if a child is given up to `batch` at a time."""
        ...

    def submit(self, jobs: Sequence[Job], *, batch: int) -> None:
        """Hand over at most `room(batch=batch)` jobs; a child gets at most `batch`."""
        ...

    def running(self) -> Sequence[Running]:
        """What really runs now, read from the children's pages: cheap enough for every turn of the loop."""
        ...

    def recall(self, tags: Sequence[Tag] | None = None) -> None:
        """Post `Returned` for these jobs (None: all) as far as they have not started."""
        ...

    def tick(self, now: float) -> float | None:
        """Periodic duties (recall what waits behind a long job, reap); returns when it wants the next, monotonic."""
        ...

    def interrupt(self, tag: Tag, how: Literal["soft", "hard"] | signal.Signals) -> None:
        """Soft limit: raise in the task. Hard limit or a signal: freeze, kill, replace the child; posts `Lost`."""
        ...

    def resize(self, size: int) -> None:
        """Run up to `size` jobs at once from now on, 0 to `most`. Raises ValueError, NotSupported."""
        ...

    def restart(self) -> None:
        """Replace every child, each when its job is done. Raises NotSupported."""
        ...

    def describe(self) -> dict[str, object]:
        """The `pool` part of `inspect stats`."""
        ...

    def stop(self) -> None:
        """End the children: those that run a job at once, the others when they have left (a second at most)."""
        ...
