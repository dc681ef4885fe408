"""What other packages take from Celery and billiard as objects, where ours are something else."""

from collections.abc import Iterator, Mapping
from typing import Any

from celery_rs.context import current_app


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


class ExceptionWithTraceback(Exception):
    """billiard's wrapper of an exception that comes from another process. Nothing here makes one: it is asked for."""
