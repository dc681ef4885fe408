"""Where a clerk works: the end of the pipe that has the result store, in a process of its own."""

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from celery_rs.backends import ChordClaim, ResultWriter
from celery_rs.errors import BackendError
from celery_rs.wire import ChordPart, TaskResult
from celery_rs.worker.pools.pipe import CHUNK, Frames, decode, encode, frame

logger = logging.getLogger(__name__)


class Desk:
    """Does what it is asked, one question after the other. A question is its name and arguments; an answer says
    whether it went well, and has the value or the text of what is wrong."""

    def __init__(self, open_store: Callable[[], ResultWriter], shown: str) -> None:
        self._open_store = open_store
        self._shown = shown
        self._opened: ResultWriter | None = None
        self._claims: dict[int, ChordClaim] = {}
        self._numbered = 0
        self._does: dict[str, Callable[..., Any]] = {
            "store": self._store,
            "claim": self._claim,
            "renew": self._renew,
            "close": self._close,
        }

    def serve(self, pipe: socket.socket) -> None:
        """Until the other end is closed."""
        frames = Frames()
        while data := pipe.recv(CHUNK):
            for payload in frames.feed(data):
                question, arguments = cast(tuple[str, Sequence[Any]], decode(payload))
                pipe.sendall(frame(encode(self._answered(question, arguments))))

    def _answered(self, question: str, arguments: Sequence[Any]) -> tuple[bool, Any]:
        try:
            return True, self._does[question](*arguments)
        except BackendError as error:
            return False, str(error)
        except Exception as error:
            logger.exception("worker: %s failed with an error that is none of a store's", self._shown)
            return False, f"{self._shown} failed with {type(error).__name__}: {error}"

    def _writer(self) -> ResultWriter:
        if self._opened is None:
            self._opened = self._open_store()
        return self._opened

    def _store(self, records: Sequence[Any]) -> list[bool]:
        return [bool(written) for written in self._writer().store([TaskResult(*record) for record in records])]

    def _claim(self, parts: Sequence[Any], claim_s: float) -> list[tuple[int, str, list[Any]]]:
        claims = []
        for claim in self._writer().claim_chords([ChordPart(*part) for part in parts], claim_s):
            self._numbered += 1
            self._claims[self._numbered] = claim
            claims.append((self._numbered, claim.group, [tuple(part) for part in claim.parts]))
        return claims

    def _renew(self, number: int, claim_s: float) -> bool:
        return self._claims[number].renew(claim_s)

    def _close(self, number: int, published: bool) -> None:
        self._claims.pop(number).close(published)
