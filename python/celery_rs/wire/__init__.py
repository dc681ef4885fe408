"""The meaning of the bytes, shared by both ends."""

from celery_rs._core import new_id
from celery_rs.wire.attempt import with_attempt, without_attempt
from celery_rs.wire.broadcast import Unreadable
from celery_rs.wire.clock import LamportClock
from celery_rs.wire.control import (
    ControlReply,
    ControlRequest,
    ReplyTo,
    check_pattern,
    exchanges,
    is_error,
    open_reply,
    open_request,
    reply_exchange,
    reply_queue,
    seal_reply,
    seal_request,
)
from celery_rs.wire.copies import copied
from celery_rs.wire.event import (
    Event,
    EventFields,
    event_body,
    event_exchange,
    open_events,
    routing_key,
    seal_events,
    sent_fields,
    utcoffset,
)
from celery_rs.wire.failure import decode_failure, encode_failure
from celery_rs.wire.group import decode_group, encode_group
from celery_rs.wire.legacy import as_protocol_1, as_protocol_2, id_of, reply_to_of
from celery_rs.wire.message import Message
from celery_rs.wire.meta import Meta, ResultCodec, decode_meta, encode_meta, instant, iso, read_meta
from celery_rs.wire.previews import preview
from celery_rs.wire.result import ChordPart, TaskResult, supersedes
from celery_rs.wire.rpc import RESULTS, SentResult, open_result, result_queue, seal_results
from celery_rs.wire.topology import Broadcast, Exchange, Queue, binding, worker_direct

__all__ = [
    "Broadcast",
    "ChordPart",
    "ControlReply",
    "ControlRequest",
    "Event",
    "EventFields",
    "Exchange",
    "LamportClock",
    "Message",
    "Meta",
    "RESULTS",
    "Queue",
    "ReplyTo",
    "ResultCodec",
    "SentResult",
    "TaskResult",
    "Unreadable",
    "as_protocol_1",
    "as_protocol_2",
    "binding",
    "check_pattern",
    "copied",
    "decode_failure",
    "decode_group",
    "decode_meta",
    "encode_failure",
    "encode_group",
    "encode_meta",
    "event_body",
    "event_exchange",
    "exchanges",
    "id_of",
    "is_error",
    "instant",
    "iso",
    "new_id",
    "open_events",
    "open_reply",
    "open_request",
    "open_result",
    "preview",
    "read_meta",
    "reply_exchange",
    "reply_queue",
    "reply_to_of",
    "result_queue",
    "routing_key",
    "seal_events",
    "seal_reply",
    "seal_request",
    "seal_results",
    "sent_fields",
    "supersedes",
    "utcoffset",
    "with_attempt",
    "without_attempt",
    "worker_direct",
]
