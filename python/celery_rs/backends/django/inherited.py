"""In a forked child: connections of Django's that belong to the parent. They are kept aside, never closed from here.

Closing one would tell the server, and the parent would find it closed.
"""

from typing import Any

from celery_rs.backends.django.needed import of_django

_settings = of_django("django.conf").settings
_connections = of_django("django.db").connections
_caches = of_django("django.core.cache").caches
_kept: list[Any] = []
"""Lest the garbage collector close them."""


def forget_inherited() -> None:
    """Let the next use of a database or a cache connect anew. Of this thread's, which is the only one after a fork."""
    if not _settings.configured:
        return
    for handler in (_connections, _caches):
        for alias in handler:
            connection = getattr(handler._connections, alias, None)
            if connection is not None:
                _kept.append(connection)
                del handler[alias]
