"""Find tasks in packages: `proj.tasks` for the package `proj`.

A package without such a module is fine; an error inside one is the user's to see, and comes through.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from celery_rs.errors import ImproperlyConfigured

Packages = Iterable[str] | Callable[[], Iterable[str]] | None


def discover(packages: Packages, related_name: str | None, fixups: Sequence[Any]) -> list[ModuleType]:
    """Import `related_name` of each package, or the package itself; returns the modules there are.

    `packages` may be a function; None asks the fixups. Raises ModuleNotFoundError for a package that does not exist.
    """
    found = [_related(package, related_name) for package in _names(packages, fixups)]
    return [module for module in found if module is not None]


def _names(packages: Packages, fixups: Sequence[Any]) -> list[str]:
    if packages is None:
        return _names_from_fixups(fixups)
    names = packages() if callable(packages) else packages
    if isinstance(names, str):
        raise ImproperlyConfigured(f"autodiscover_tasks expects a list of packages, got {names!r}; write [{names!r}]")
    return list(names)


def _names_from_fixups(fixups: Sequence[Any]) -> list[str]:
    asked = [fixup for fixup in fixups if hasattr(fixup, "autodiscover_tasks")]
    return [name for fixup in asked for name in fixup.autodiscover_tasks()]


def _related(package: str, related_name: str | None) -> ModuleType | None:
    try:
        module = import_module(package)
    except ModuleNotFoundError as error:
        # Django's list of apps may name a class in a module: proj.apps.ProjConfig
        parent = package.rpartition(".")[0]
        if not parent or not f"{package}.".startswith(f"{error.name}."):
            raise
        package = parent
        module = import_module(package)
    if not related_name:
        return module
    name = f"{package}.{related_name}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise
