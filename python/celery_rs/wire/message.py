"""One task call as protocol-2 fields: what a client sends and a broker carries.

A message is immutable and flat, so that it can cross a pipe as a plain tuple and be sealed into an
envelope by one call into Rust (`celery_rs._core.seal_envelopes` reads these fields by position).
"""

from typing import NamedTuple


class Message(NamedTuple):
    """A protocol-2 task message; the header names are Celery's (docs/internals/wire-protocol.md, 1.2 and 1.3).

    `body` is already serialized (and compressed). With `protocol` 1 it says everything, and only the user's headers are
    written (wire/legacy.py makes such a message). `eta` and `expires` are ISO 8601 text; limits are
    seconds; `expiration` is milliseconds as decimal text. `headers` and `stamps` are JSON objects as
    bytes: user headers are merged last and may replace any other header.
    """

    task: str
    id: str
    body: bytes
    delivery_tag: str
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    shadow: str | None = None
    eta: str | None = None
    expires: str | None = None
    group: str | None = None
    group_index: int | None = None
    retries: int = 0
    hard_limit: float | None = None
    soft_limit: float | None = None
    root_id: str | None = None
    parent_id: str | None = None
    argsrepr: str = "()"
    kwargsrepr: str = "{}"
    origin: str = ""
    ignore_result: bool | None = None
    replaced_task_nesting: int = 0
    stamped_headers: list[str] | None = None
    stamps: bytes = b"{}"
    compression: str | None = None
    headers: bytes = b""
    reply_to: str = ""
    priority: int = 0
    delivery_mode: int = 2
    expiration: str | None = None
    protocol: int = 2
