"""The clerk: a process beside the pool that writes results for the worker, to stores that must not run in its parent.

A store of the user's own may hang, crash or hold the interpreter lock, and so may an ORM or a client library. In a
process of its own it costs the worker a pause: what was not written is written again, by the next clerk if need be.
The order of a delivery's end stays as it is, and records are still written in batches.
"""

import logging
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from celery_rs.backends import ChordClaim, ResultWriter
from celery_rs.errors import BackendError
from celery_rs.wire import ChordPart, TaskResult
from celery_rs.worker.pools.child import Duties
from celery_rs.worker.pools.desk import Desk
from celery_rs.worker.pools.nursery import Nursery
from celery_rs.worker.pools.pipe import CHUNK, Frames, decode, encode, frame

PATIENCE_S = 30.0
"""After so long without an answer the log says what the worker waits for."""
DEATH_WITHIN_S = 2.0
STOP_GRACE_S = 1.0
_SLOT = 0

logger = logging.getLogger(__name__)


class Clerk:
    """See `ResultWriter`; for one thread. `open_store` is called in the process, once; `store` is its name for people.

    Each process enters and leaves as those of the pool do, with the index 0. `broken` is told why there can be no
    next one: the process that they are forked from has died.
    """

    def __init__(
        self,
        open_store: Callable[[], ResultWriter],
        store: str,
        duties: Duties,
        broken: Callable[[str], object] = lambda reason: None,
    ) -> None:
        self._open_store = open_store
        self._store = store
        self._duties = duties
        self._broken = broken
        self._obituary = ""
        self._nursery: Nursery | None = None
        self._pipe: socket.socket | None = None
        self._frames = Frames()

    def start(self) -> None:
        """Fork. Call it before any thread exists."""
        self._nursery = Nursery(self._serve, [partial(prepare, self) for prepare in self._duties.before_fork])

    def stop(self) -> None:
        """Let it finish what it does, for a second at most."""
        nursery, self._nursery = self._nursery, None
        self._hang_up()
        if nursery is not None:
            nursery.stop(STOP_GRACE_S)

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        written: list[bool] = self._ask("store", [tuple(record) for record in records])
        return written

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        claims = self._ask("claim", [tuple(part) for part in parts], claim_s)
        return [_Claim(self._ask, number, group, counted) for number, group, counted in claims]

    def _ask(self, question: str, *arguments: Any) -> Any:
        """Raises BackendError: the store's own, or that the process ended."""
        pipe = self._pipe or self._hire()
        try:
            pipe.sendall(frame(encode((question, arguments))))
            went_well, answer = self._answer(pipe)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            self._hang_up()
            raise BackendError(f"{self._store}: the process that writes there ended ({self._how_it_ended()})") from None
        if not went_well:
            raise BackendError(answer)
        return answer

    def _answer(self, pipe: socket.socket) -> Any:
        """Raises EOFError when none can come any more."""
        while True:
            try:
                data = pipe.recv(CHUNK)
            except TimeoutError:
                logger.warning("worker: %s has not answered for %.0f seconds; waiting", self._store, PATIENCE_S)
                continue
            if not data:
                raise EOFError
            for payload in self._frames.feed(data):
                return decode(payload)

    def _hire(self) -> socket.socket:
        if self._nursery is None:
            raise BackendError(f"{self._store}: the worker ends, nothing is written there any more")
        self._nursery.deaths()
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        self._nursery.spawn(_SLOT, theirs)
        theirs.close()
        self._pipe, self._frames = ours, Frames()
        return ours

    def _hang_up(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()

    def _how_it_ended(self) -> str:
        if self._nursery is None:
            return "the worker ends"
        select.select([self._nursery], [], [], DEATH_WITHIN_S)
        deaths = self._nursery.deaths()
        if deaths is None:
            return f"with the one it is forked from: {self._bury(self._nursery)}"
        return deaths[-1].how if deaths else "unknown cause"

    def _bury(self, nursery: Nursery) -> str:
        """How it died."""
        if not self._obituary:
            self._obituary = nursery.obituary()
            self._broken(f"the process that forks those which write to {self._store} died: {self._obituary}")
        return self._obituary

    def _serve(self, _slot: int, pipe: socket.socket) -> None:
        """The life of the process."""
        for enter in self._duties.enter:
            enter(0)
        with suppress(BrokenPipeError, ConnectionResetError):  # the worker is gone
            Desk(self._open_store, self._store).serve(pipe)
        for leave in self._duties.leave:
            leave(0)


class _Claim:
    """See `backends.ChordClaim`; the real one lies in the process, under this number."""

    def __init__(self, ask: Callable[..., Any], number: int, group: str, counted: Sequence[Any]) -> None:
        self.group = group
        self.parts: Sequence[ChordPart] = [ChordPart(*part) for part in counted]
        self._ask = ask
        self._number = number

    def renew(self, claim_s: float) -> bool:
        return bool(self._ask("renew", self._number, claim_s))

    def close(self, published: bool) -> None:
        self._ask("close", self._number, published)
