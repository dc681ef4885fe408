"""Result stores of the user's own: found by class path, entry point or name; of our protocol or of Celery's shapes."""

from celery_rs.backends.own.base import BaseBackend
from celery_rs.backends.own.finding import elsewhere, open_own, overridden
from celery_rs.backends.own.key_value import KeyValueStoreBackend

__all__ = ["BaseBackend", "KeyValueStoreBackend", "elsewhere", "open_own", "overridden"]
