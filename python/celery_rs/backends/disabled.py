"""The result store of an app that has none: results are dropped, and asking for one says what to set."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NoReturn

from celery_rs.backends.base import ChordClaim
from celery_rs.backends.opening import Opening
from celery_rs.errors import NotSupported
from celery_rs.wire import ChordPart, TaskResult

EXAMPLE = "result_backend = 'sqlite:///results.sqlite3'"


class DisabledBackend:
    """See `backends.base.ResultBackend`."""

    place: Literal["parent", "child"] = "parent"

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        return [False] * len(records)

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        _refuse("reading a result")

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        _refuse("waiting for a result")

    def forget(self, ids: Collection[str]) -> None:
        _refuse("forgetting a result")

    def save_group(self, group: str, meta: bytes) -> None:
        _refuse("saving a group")

    def fetch_group(self, group: str) -> bytes | None:
        _refuse("reading a saved group")

    def forget_group(self, group: str) -> None:
        _refuse("forgetting a saved group")

    def cleanup(self) -> None:
        """There is nothing to drop."""

    def open_chord(self, group: str, size: int) -> None:
        _refuse("a chord")

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        _refuse("a chord")

    def describe(self) -> str:
        return "disabled"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        """Nothing was opened."""

    def close(self) -> None:
        """Nothing was opened."""


def open_store(opening: Opening) -> DisabledBackend:
    return DisabledBackend()


def _refuse(what: str) -> NoReturn:
    raise NotSupported(what, f"no result backend is set: set result_backend, for example {EXAMPLE}")
