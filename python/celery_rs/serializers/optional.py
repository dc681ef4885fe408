"""Libraries that only some serializers, compressions and stores need: loaded at their first use, asked for by name."""

from importlib import import_module
from typing import Any

from celery_rs.errors import ImproperlyConfigured


def library(module: str, needed_by: str, extra: str | None) -> Any:
    """The module; `extra` is what brings it (`yaml` of `celery-rs[yaml]`). Raises ImproperlyConfigured."""
    try:
        return import_module(module)
    except ImportError:
        todo = f"pip install 'celery-rs[{extra}]'" if extra else "this Python was built without it"
        raise ImproperlyConfigured(f"{needed_by} needs the module {module!r}; {todo}") from None
