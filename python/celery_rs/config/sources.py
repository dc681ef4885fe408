"""Read settings from what users have: a mapping, a module, an object, or the dotted path of one; and the environment.

A mapping was written for us, so an unknown name in it is an error. A module or object also holds imports and the
project's own names: there, only a name that is nearly one of ours is worth a warning.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from celery_rs.config.settings import BY_NAME, OLD_NAMES
from celery_rs.config.spelling import nearest
from celery_rs.errors import ImproperlyConfigured

ENVIRONMENT = {"broker_url": "CELERY_BROKER_URL", "result_backend": "CELERY_RESULT_BACKEND"}
"""Settings that the environment overrides, wherever else they are set."""

_PREFIXES = ("task_", "worker_", "broker_", "result_", "control_", "event_", "beat_", "accept_", "celery")
_NEARLY = 2


class Found(NamedTuple):
    """Settings by their present names, names nobody knows, and (misspelt, meant) pairs."""

    settings: dict[str, Any]
    unknown: tuple[str, ...] = ()
    misspelt: tuple[tuple[str, str], ...] = ()


def from_environment() -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in ENVIRONMENT.items() if os.environ.get(variable)}


def canonical(name: str) -> str:
    """The present name of a setting that may be given by its old or upper-case name."""
    return name if name in BY_NAME else OLD_NAMES.get(name, name)


def read(source: Any, namespace: str | None = None) -> Found:
    """The settings in `source`: a mapping, an object, or the path `module`, `module:name`, `module.name` of one."""
    found = load(source) if isinstance(source, str) else source
    if isinstance(found, Mapping):
        return _collect(dict(found), namespace, ours=True)
    return _collect(dict(_public(found)), namespace, ours=False)


def load(path: str) -> Any:
    """The object at a dotted path; the working directory is searched too. Raises ImproperlyConfigured."""
    module, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if attribute:
            return getattr(import_module(module), attribute)
        return _load_dotted(module)
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(f"configuration {path!r} cannot be loaded: {error}") from error


def _load_dotted(path: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        parent, _, name = path.rpartition(".")
        if not parent or error.name != path:
            raise
        return getattr(import_module(parent), name)


def _public(source: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(source):
        if not name.startswith("_"):
            yield name, getattr(source, name)


def _collect(given: dict[str, Any], namespace: str | None, *, ours: bool) -> Found:
    if namespace:
        prefix = namespace if namespace.endswith("_") else namespace + "_"
        given = {name[len(prefix) :]: value for name, value in given.items() if name.startswith(prefix)}
        ours = True
    settings: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    strange = []
    for name, value in given.items():
        setting = canonical(name) if not namespace else canonical(name.lower() if name.isupper() else name)
        if setting not in BY_NAME:
            strange.append(name)
        elif setting in settings and settings[setting] != value:
            raise ImproperlyConfigured(f"{spelt[setting]!r} and {name!r} are one setting with two values; keep one")
        else:
            settings[setting] = value
            spelt[setting] = name
    if ours:
        return Found(settings, unknown=tuple(strange))
    return Found(settings, misspelt=tuple(_misspelt(strange)))


def _misspelt(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name.lower().startswith(_PREFIXES):
            meant = nearest(name.lower(), BY_NAME, _NEARLY)
            if meant is not None:
                yield name, meant
