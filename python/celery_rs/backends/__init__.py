"""Result stores: the interface every adapter meets, and the adapters."""

from celery_rs.backends.base import ChordClaim, ResultBackend, ResultWriter
from celery_rs.backends.own import BaseBackend, KeyValueStoreBackend
from celery_rs.backends.registry import is_rpc, open_backend
from celery_rs.backends.retrying import Patience, RetryingBackend

__all__ = [
    "BaseBackend",
    "ChordClaim",
    "KeyValueStoreBackend",
    "Patience",
    "ResultBackend",
    "ResultWriter",
    "RetryingBackend",
    "is_rpc",
    "open_backend",
]
