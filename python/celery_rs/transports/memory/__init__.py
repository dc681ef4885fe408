"""The in-process broker: the reference implementation of `transports/base.py`."""

from celery_rs.transports.memory.broker import Broker
from celery_rs.transports.memory.results import ResultRecords
from celery_rs.transports.memory.transport import MemoryTransport

__all__ = ["Broker", "MemoryTransport", "ResultRecords"]
