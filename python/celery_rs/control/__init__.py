"""Remote control of workers: the client's side, and the mailbox that both sides use."""

from celery_rs.control.client import Control
from celery_rs.control.inspector import Inspect
from celery_rs.control.mailbox import answer, ask, decode, listen, tell
from celery_rs.wire import ControlReply, ControlRequest, Unreadable

__all__ = [
    "Control",
    "ControlReply",
    "ControlRequest",
    "Inspect",
    "Unreadable",
    "answer",
    "ask",
    "decode",
    "listen",
    "tell",
]
