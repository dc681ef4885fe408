"""The embedded broker: one SQLite file, shared by the processes of one machine."""

from celery_rs.transports.sqlite.database import Database, Transaction
from celery_rs.transports.sqlite.location import open_database
from celery_rs.transports.sqlite.results import ResultTable
from celery_rs.transports.sqlite.transport import SqliteTransport
from celery_rs.transports.sqlite.upkeep import Upkeep
from celery_rs.transports.sqlite.wake import NET_S

__all__ = ["NET_S", "Database", "ResultTable", "SqliteTransport", "Transaction", "Upkeep", "open_database"]
