"""Results in a MongoDB, as the documents of Celery: clients and workers of both kinds share them."""

from celery_rs.backends.mongodb.options import open_store
from celery_rs.backends.mongodb.store import MongoBackend

__all__ = ["MongoBackend", "open_store"]
