"""A child's work without its parent: frames of no-op tasks come out of a list, reports are taken out of the page."""

import mmap
from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import uuid4

from bench.micro.inputs import BATCH, BODY, TASK
from celery_rs import Celery
from celery_rs._core import Envelope, PoolPage, open_envelopes, seal_envelopes
from celery_rs.wire import Message
from celery_rs.worker.pools import Job, running_tasks
from celery_rs.worker.pools.child import Child
from celery_rs.worker.pools.pipe import encode_jobs, frame
from celery_rs.worker.pools.reports import decode_report, rebuild


class _Pipe:
    """A parent that has one batch, and reads the page when it is asked for the next."""

    def __init__(self, page: PoolPage, batch: bytes) -> None:
        self._page = page
        self._frames: Iterator[bytes] = iter([batch])
        self.last = b""

    def recv(self, _most: int) -> bytes:
        reports = self._page.drain()
        self.last = reports[-1] if reports else self.last
        return next(self._frames, b"")

    def send(self, doorbell: bytes, _flags: int) -> int:
        return len(doorbell)


def drained_batch(*, stored: bool) -> Callable[[], bytes]:
    """A step that has a child do a batch of tasks; it returns the last report."""
    app = Celery("bench", broker="memory://", backend="cache+memory://" if stored else "disabled://")
    app.task(name=TASK)(lambda x, y: x + y)
    app.finalize()
    duties = running_tasks(app, "celery@bench")
    page = PoolPage(mmap.mmap(-1, PoolPage.SIZE))
    batch = frame(encode_jobs(1, _jobs()))

    def step() -> bytes:
        page.reset()
        page.allow(BATCH)
        pipe = _Pipe(page, batch)
        Child(1, cast(Any, pipe), page, duties)._serve()
        return pipe.last

    return step


def text_of(report: bytes) -> str:
    """The repr of the result that a report tells."""
    _, kind, _, value = decode_report(report)
    return rebuild(kind, "", value).text


def _jobs() -> list[Job]:
    ids = [str(uuid4()) for _ in range(BATCH)]
    messages = [Message(TASK, id, BODY, id, argsrepr="(2, 2)") for id in ids]
    opened = open_envelopes(seal_envelopes(messages, [("", "celery")] * BATCH))
    return [
        Job(f"celery@bench.1.{n}", each, "celery", redelivered=False, announce=False, late=False)
        for n, each in enumerate(opened)
        if isinstance(each, Envelope)
    ]
