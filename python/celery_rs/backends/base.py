"""What a result store promises.

Every store obeys `celery_rs.wire.supersedes` in one statement or script; stores that cannot are listed in
docs/internals/contracts.md.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, Protocol

from celery_rs.wire import ChordPart, TaskResult


class ChordClaim(Protocol):
    """The right to publish a complete chord's body; lapses unless renewed."""

    group: str
    parts: Sequence[ChordPart]

    def renew(self, claim_s: float) -> bool: ...
    def close(self, published: bool) -> None:
        """Published: the chord is over. Not published: somebody else may claim it."""
        ...


class ResultWriter(Protocol):
    """What a worker asks of a result store when tasks end."""

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        """Which were written; a record that would go backwards is not."""
        ...

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        """Count these parts (repeating one changes nothing) and claim the chords of theirs that are complete."""
        ...


class ResultBackend(ResultWriter, Protocol):
    """A result store. Any thread; connects lazily; raises BackendError naming the store."""

    place: Literal["parent", "child"]
    """Where a worker calls it: user code, ORMs and SQL never run in the parent, but in a process beside it."""

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        """The records there are; an unknown id is left out."""
        ...

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        """Each id's record once it is ready, as they come; ends when all have or after `timeout` seconds."""
        ...

    def forget(self, ids: Collection[str]) -> None: ...
    def save_group(self, group: str, meta: bytes) -> None:
        """Keep the members of a group: a record `{"result": ⟨result tuple⟩}`, encoded as the others are."""
        ...

    def fetch_group(self, group: str) -> bytes | None:
        """What was saved, in the same form."""
        ...

    def forget_group(self, group: str) -> None: ...
    def cleanup(self) -> None:
        """Drop what has expired, now; a store that does so by itself may do nothing."""
        ...

    def open_chord(self, group: str, size: int) -> None: ...
    def describe(self) -> str:
        """The store for people: secrets masked, a file by its absolute path."""
        ...

    def after_fork(self) -> None: ...
    def close(self) -> None: ...
