"""Results in a SQL database, on the tables of Celery: clients and workers of both kinds share them."""

from celery_rs.backends.sql.options import open_store
from celery_rs.backends.sql.store import SqlBackend

__all__ = ["SqlBackend", "open_store"]
