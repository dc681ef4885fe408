"""The meaning of the bytes, shared by both ends."""

from celery_rs.wire.message import Message
from celery_rs.wire.result import ChordPart, TaskResult, supersedes
from celery_rs.wire.topology import Exchange, Queue

__all__ = ["ChordPart", "Exchange", "Message", "Queue", "TaskResult", "supersedes"]
