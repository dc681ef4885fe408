"""Django's own modules: asked for by name where there is no Django."""

from importlib import import_module
from typing import Any

from celery_rs.serializers import library


def of_django(module: str) -> Any:
    """Raises ImproperlyConfigured with what to install."""
    library("django", "a result store of Django", "django")
    return import_module(module)
