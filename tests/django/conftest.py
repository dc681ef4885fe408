"""The result stores of this process's Django."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends.opening import Opening
from tests.django.configured import database, migrated_sqlite


@pytest.fixture
def alias(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database, which results go to."""
    template = tmp_path_factory.getbasetemp() / "template.sqlite3"
    with database(migrated_sqlite(tmp_path / "results.sqlite3", template)) as alias:
        yield alias


@pytest.fixture
def open_store(alias: str) -> Callable[..., Any]:
    """The store in that database, by these settings."""
    from celery_rs.backends.django.database import DjangoDatabaseBackend

    def open_store(**settings: Any) -> Any:
        return DjangoDatabaseBackend(Opening("django-db", {}, settings, 86_400.0))

    return open_store


@pytest.fixture
def tasks(alias: str) -> Any:
    """The rows of tasks."""
    from django.apps import apps

    return apps.get_model("django_celery_results", "TaskResult").objects.using(alias)
