"""What other packages take from Celery and billiard as objects, where ours are something else."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from celery_rs.context import current_app
from celery_rs.serializers import JSON


class _Tasks(Mapping[str, Any]):
    """Tasks by name, of whatever app is in use when somebody looks."""

    def __getitem__(self, name: str) -> Any:
        return current_app().tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(current_app().tasks)

    def __len__(self) -> int:
        return len(current_app().tasks)


tasks = _Tasks()
"""`celery.registry.tasks`."""


def dumps(value: object) -> str:
    """A value as JSON text, as messages carry it: `kombu.utils.json.dumps`."""
    return JSON.dumps(value).decode("ascii")


def loads(text: str | bytes | bytearray | memoryview) -> Any:
    """The value in JSON text: `kombu.utils.json.loads`."""
    return JSON.loads(text.encode() if isinstance(text, str) else bytes(text))


def maybe_timedelta(given: Any) -> Any:
    """Seconds as a timedelta, anything else as it is: what the models of django-celery-results need of Celery."""
    return timedelta(seconds=given) if isinstance(given, int | float) else given


class ExceptionWithTraceback(Exception):
    """billiard's wrapper of an exception that comes from another process. Nothing here makes one: it is asked for."""
