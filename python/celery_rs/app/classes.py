"""Class paths: `module:Name` or `module.Name`, as constructors and `*_cls` attributes give them.

Two of them name what stands on floors above this one: the worker and the command line. They are strings, looked up
when somebody asks, and a subclass of Celery may name others.
"""

from collections.abc import Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

from celery_rs.errors import ImproperlyConfigured

WORKER = "celery_rs.worker:Worker"
PROGRAM = "celery_rs.__main__:main"
LOGGING = "celery_rs.app.logging:Logging"


def resolve(given: Any, what: str, aliases: Mapping[str, Any] | None = None) -> Any:
    """What a class path, an alias or the class itself stands for; `what` begins the complaint.

    Raises ImproperlyConfigured when it leads nowhere. An error inside the module comes through as it is.
    """
    if not isinstance(given, str):
        return given
    path = (aliases or {}).get(given, given)
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module or not name:
        raise ImproperlyConfigured(f"{what}: expected a class or a path like 'module:Name', got {given!r}")
    try:
        return attrgetter(name)(import_module(module))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ImproperlyConfigured(f"{what}: there is no module {error.name!r}, got {given!r}") from None
    except AttributeError:
        raise ImproperlyConfigured(f"{what}: module {module!r} has no {name!r}, got {given!r}") from None
