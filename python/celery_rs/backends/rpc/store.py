"""Results as messages to who called, as Celery's `rpc://` sends them: nothing is stored anywhere.

A worker sends every record to the queue that the call names in `reply_to`. Each process that calls has one such queue,
named by `reply_to` in all its calls; nobody else can ask for its results.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal, NoReturn

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.opening import Opening
from celery_rs.backends.peek import peek
from celery_rs.backends.rpc.inbox import PAUSES, Inbox
from celery_rs.backends.rpc.kept import Kept
from celery_rs.errors import BackendError, CeleryError, ImproperlyConfigured, NotSupported, OperationalError
from celery_rs.serializers import JSON, Serializer, reader, unpack_result
from celery_rs.transports import Subscription, Transport
from celery_rs.wire import (
    RESULTS,
    ChordPart,
    SentResult,
    TaskResult,
    Unreadable,
    open_result,
    result_queue,
    seal_results,
    with_attempt,
    without_attempt,
)

log = logging.getLogger("celery_rs.results")


class RpcBackend:
    """See `backends.base.ResultBackend`; `transport` and `oid` (the name of the queue) are the app's at the moment.

    `serializer` is what records are written by; those of other content types among `accept` are read as well.
    """

    place: Literal["parent", "child"] = "parent"

    def __init__(
        self,
        transport: Callable[[], Transport],
        oid: Callable[[], str],
        *,
        expires: float | None = 86_400.0,
        persistent: bool = False,
        serializer: Serializer = JSON,
        accept: Collection[str] = (JSON.content_type,),
        clock: Callable[[], float] = time.time,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._transport = transport
        self._oid = oid
        self._expires = expires
        self._delivery_mode = 2 if persistent else 1
        self._serializer = serializer
        self._accept = accept
        self._inbox = Inbox(self._subscribed, self._opened, partial(Kept, expires), clock=clock, pauses=pauses)

    def expect(self) -> None:
        """Have the queue that results of this process come to; costs nothing once it is there.

        Raises OperationalError: it is asked before a call is sent, by who sends it.
        """
        self._inbox.expect()

    # Sending

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        """Which were sent: those of a caller who has told where to."""
        sent: dict[str, list[SentResult]] = {}
        for record in records:
            if record.reply_to:
                sent.setdefault(record.reply_to, []).append(self._written(record))
        with _in_words_of_the_store():
            transport = self._transport()
            for to, results in sent.items():
                envelopes = seal_results(results, to, delivery_mode=self._delivery_mode)
                transport.announce(RESULTS, to, envelopes, confirmed=True, expires=self._expires)
        return [bool(record.reply_to) for record in records]

    def _written(self, record: TaskResult) -> SentResult:
        written_by = self._serializer
        # Not compressed, whatever the setting says: as in Celery, whose clients could not read it.
        body = with_attempt(unpack_result(record.meta), record.attempt)
        return SentResult(record.task_id, written_by.content_type, written_by.content_encoding, body)

    # Receiving

    def _subscribed(self) -> Subscription:
        oid = self._oid()
        return self._transport().subscribe(RESULTS, oid, result_queue(oid, self._expires))

    def _opened(self, raw: bytes) -> TaskResult | None:
        result = open_result(raw)
        if isinstance(result, Unreadable):
            log.warning("a message in the queue of results is none: %s", result.reason)
            return None
        body = self._in_our_words(result)
        told = peek(body, self._serializer)
        if told is None:  # whoever waits for it is told what is wrong with it
            return TaskResult(result.task_id, states.FAILURE, 0, body)
        return TaskResult(result.task_id, told.state, told.attempt, without_attempt(body)[0])

    def _in_our_words(self, result: SentResult) -> bytes:
        """The record as our serializer writes it: a worker may have been told of another."""
        ours = self._serializer
        if result.content_type == ours.content_type:
            return result.body
        try:
            theirs = reader(result.content_type, self._accept, result.content_encoding)
            return ours.dumps(theirs.loads(result.body))
        except CeleryError as error:
            log.warning("the result of task %s cannot be read: %s", result.task_id, error)
            return result.body

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        """What has come for this process."""
        with _in_words_of_the_store():
            return {record.task_id: record for record in self._inbox.look(ids)}

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        deadline = None if timeout is None else time.monotonic() + timeout
        awaited = set(ids)
        if not awaited:
            return
        with _in_words_of_the_store():
            if not self._inbox.is_open:
                log.warning(
                    "waiting for a result that was called for elsewhere, or not at all yet: "
                    "rpc:// brings results only to the process that calls; use a redis:// result store for others"
                )
                self._inbox.open()
            if timeout is not None and timeout <= 0:
                self._inbox.look(())
        wait = self._inbox.join(list(awaited))
        try:
            while awaited:
                with _in_words_of_the_store():
                    news = self._inbox.hear(wait, deadline)
                if not news:
                    return
                for record in news:
                    awaited.discard(record.task_id)
                    yield record
        finally:
            self._inbox.leave(wait)

    def forget(self, ids: Collection[str]) -> None:
        self._inbox.forget(ids)

    def save_group(self, group: str, meta: bytes) -> None:
        _refuse_groups()

    def fetch_group(self, group: str) -> bytes | None:
        _refuse_groups()

    def forget_group(self, group: str) -> None:
        _refuse_groups()

    def cleanup(self) -> None:
        self._inbox.expire()

    # Chords

    def open_chord(self, group: str, size: int) -> None:
        _refuse_chords()

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        if parts:
            _refuse_chords()
        return []

    # The end

    def describe(self) -> str:
        return "rpc://"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        self._inbox.after_fork()

    def close(self) -> None:
        with _in_words_of_the_store():
            self._inbox.close()


def _refuse_groups() -> NoReturn:
    raise NotSupported("a saved group over rpc://", "results are sent, and stored nowhere; use a redis:// result store")


def _refuse_chords() -> NoReturn:
    raise NotSupported("a chord over rpc://", "nobody but the caller sees its results; use a redis:// result store")


@contextmanager
def _in_words_of_the_store() -> Iterator[None]:
    """The same broker carries calls; here it carries results."""
    try:
        yield
    except OperationalError as error:
        raise BackendError(f"results over the broker: {error}") from None


def open_store(opening: Opening) -> RpcBackend:
    """Raises ImproperlyConfigured without an app around it, or for content types that there are not."""
    if opening.transport is None or opening.oid is None:
        raise ImproperlyConfigured("expected an app around the result store rpc://, whose broker it sends results over")
    return RpcBackend(
        opening.transport,
        opening.oid,
        expires=opening.expires,
        persistent=bool(opening.settings.get("result_persistent")),
        serializer=opening.written_by,
        accept=opening.accept,
    )
