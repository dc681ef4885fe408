"""One task to run, as flat data: what crosses from the worker's parent to a child."""

from typing import NamedTuple

from celery_rs._core import Envelope


class Work(NamedTuple):
    """An opened delivery. `headers` and `properties` are JSON objects, `body` is still serialized (and compressed).

    `announce` asks for a `Started` notice; `late` says that the acknowledgement waits for the end. The last fields are
    headers that every run needs, as the envelope has them, so that the headers need not be read once more.
    """

    tag: str
    task: str
    id: str
    headers: bytes
    properties: bytes
    body: bytes
    content_type: str
    content_encoding: str
    queue: str
    redelivered: bool
    announce: bool
    late: bool
    retries: int = 0
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    ignore_result: bool | None = None
    compression: str | None = None

    @classmethod
    def of(cls, tag: str, envelope: Envelope, queue: str, *, redelivered: bool, announce: bool, late: bool) -> "Work":
        return cls(
            tag,
            envelope.task,
            envelope.id,
            envelope.headers,
            envelope.properties,
            envelope.body,
            envelope.content_type,
            envelope.content_encoding,
            queue,
            redelivered,
            announce,
            late,
            envelope.retries,
            envelope.root_id,
            envelope.parent_id,
            envelope.group,
            envelope.ignore_result,
            envelope.compression,
        )
