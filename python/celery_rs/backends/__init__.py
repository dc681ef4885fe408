"""Result stores: the interface every adapter meets, and the adapters."""

from celery_rs.backends.base import ChordClaim, ResultBackend
from celery_rs.backends.registry import open_backend

__all__ = ["ChordClaim", "ResultBackend", "open_backend"]
