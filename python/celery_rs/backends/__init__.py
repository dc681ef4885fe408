"""Result stores: the interface every adapter meets, and the adapters."""

from celery_rs.backends.base import ChordClaim, ResultBackend

__all__ = ["ChordClaim", "ResultBackend"]
