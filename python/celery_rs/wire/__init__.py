"""The meaning of the bytes, shared by both ends."""

from celery_rs.wire.control import (
    ControlReply,
    ControlRequest,
    ReplyTo,
    Unreadable,
    exchanges,
    is_error,
    open_reply,
    open_request,
    seal_reply,
    seal_request,
)
from celery_rs.wire.message import Message
from celery_rs.wire.result import ChordPart, TaskResult, supersedes
from celery_rs.wire.topology import Exchange, Queue

__all__ = [
    "ChordPart",
    "ControlReply",
    "ControlRequest",
    "Exchange",
    "Message",
    "Queue",
    "ReplyTo",
    "TaskResult",
    "Unreadable",
    "exchanges",
    "is_error",
    "open_reply",
    "open_request",
    "seal_reply",
    "seal_request",
    "supersedes",
]
