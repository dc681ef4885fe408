"""The database and cache connections of a worker's processes: Django's own rules, around a task as around a request."""

from django.core.cache import close_caches
from django.db import close_old_connections, connections


def refresh_connections() -> None:
    """Before and after a task: close what Django's CONN_MAX_AGE says is too old, and what is broken."""
    close_old_connections()


def close_connections() -> None:
    """Close all of this thread's, and the pools: before the worker forks, and where a setting counts tasks."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool is not None and connection.settings_dict.get("OPTIONS", {}).get("pool"):
            close_pool()


def release_caches() -> None:
    """After a task, as after a request."""
    close_caches()
