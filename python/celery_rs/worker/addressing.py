"""Whom a record is for, where results are sent to who called: the parent knows the message, its children need not."""

from celery_rs._core import DecodeError, Envelope
from celery_rs.wire import TaskResult, reply_to_of


def addressed(record: TaskResult | None, envelope: Envelope | DecodeError) -> TaskResult | None:
    """The record of this message's task, with the address that the message tells."""
    if record is None:
        return None
    to = reply_to_of(envelope.raw) if isinstance(envelope, DecodeError) else envelope.reply_to
    return TaskResult(*record[:4], to) if to else record
