"""Django's own modules: asked for by name where there is no Django."""

from typing import Any

from celery_rs.serializers import library


def of_django(module: str) -> Any:
    """Raises ImproperlyConfigured with what to install."""
    return library(module, "a result store of Django", "django")
