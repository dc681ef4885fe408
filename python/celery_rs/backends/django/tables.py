"""The tables of the results: models of the app labelled `django_celery_results`, whichever package brings it."""

import os
from typing import Any

from celery_rs.backends.django.needed import of_django
from celery_rs.errors import ImproperlyConfigured

django = of_django("django")
apps = of_django("django.apps").apps
db = of_django("django.db")

LABEL = "django_celery_results"
APP = "celery_rs.django.results"
MIGRATE = f"run `python manage.py migrate {LABEL}`"


def model(name: str) -> Any:
    """`TaskResult`, `GroupResult` or `ChordCounter`. Raises ImproperlyConfigured when no app has it."""
    if not apps.ready:
        _set_up()
    try:
        return apps.get_model(LABEL, name)
    except LookupError:
        raise ImproperlyConfigured(
            f"the result store django-db expects an app labelled {LABEL!r} in INSTALLED_APPS, and there is none; "
            f"add {APP!r} and {MIGRATE}"
        ) from None


def _set_up() -> None:
    try:
        django.setup()
    except ImportError as error:
        project = os.environ.get("DJANGO_SETTINGS_MODULE")
        raise ImproperlyConfigured(
            f"the result store django-db cannot set up Django with DJANGO_SETTINGS_MODULE={project!r}: {error}"
        ) from error


def flaw(model: Any, alias: str) -> str | None:
    """What keeps the model's table from being used, and what to do; None where nothing is seen of that."""
    table = model._meta.db_table
    introspection = db.connections[alias].introspection
    try:
        with db.connections[alias].cursor() as cursor:
            if table not in introspection.table_names(cursor):
                return f"there is no table {table!r}; {MIGRATE}"
            there = {column.name for column in introspection.get_table_description(cursor, table)}
    except db.Error:
        return None
    wanted = [field.column for field in model._meta.local_concrete_fields]
    missing = [column for column in wanted if column not in there]
    return f"the table {table!r} has no column {missing[0]!r}; {MIGRATE}" if missing else None
