"""Remote control of workers, the client's side."""

from celery_rs.control.client import Control
from celery_rs.control.connection import Connection, transport_of
from celery_rs.control.inspector import Inspect
from celery_rs.control.mailbox import ask, tell
from celery_rs.control.revoking import REVOKED, ids_of
from celery_rs.wire import ControlReply, ControlRequest

__all__ = [
    "REVOKED",
    "Connection",
    "Control",
    "ControlReply",
    "ControlRequest",
    "Inspect",
    "ask",
    "ids_of",
    "tell",
    "transport_of",
]
