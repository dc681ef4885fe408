"""Django's own modules: asked for by name where there is no Django."""

import os
from importlib import import_module
from typing import Any

from celery_rs.errors import ImproperlyConfigured
from celery_rs.serializers import library


def of_django(module: str) -> Any:
    """Raises ImproperlyConfigured with what to install."""
    library("django", "a result store of Django", "django")
    return import_module(module)


def expect_a_project(store: str) -> None:
    """Raises ImproperlyConfigured where nobody has said which one it is."""
    if not of_django("django.conf").settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise ImproperlyConfigured(
            f"the result store {store} needs a Django project; set DJANGO_SETTINGS_MODULE, such as 'proj.settings'"
        )
