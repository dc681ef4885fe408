"""Read settings from what users have: a mapping, a module, an object, or the dotted path of one; and the environment.

A mapping was written for us, so an unknown name in it is an error. A module or object also holds imports and the
project's own names: there, only a name that is nearly one of ours is worth a warning.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from celery_rs.config.extensions import is_extension
from celery_rs.config.settings import BY_NAME, OLD_NAMES
from celery_rs.config.spelling import nearest
from celery_rs.errors import ImproperlyConfigured

ENVIRONMENT = {
    "broker_url": "CELERY_BROKER_URL",
    "broker_read_url": "CELERY_BROKER_READ_URL",
    "broker_write_url": "CELERY_BROKER_WRITE_URL",
    "result_backend": "CELERY_RESULT_BACKEND",
}
"""Settings that the environment overrides, wherever else they are set."""

Prepare = Callable[[dict[str, Any]], Mapping[str, Any]]

_PREFIXES = ("task_", "worker_", "broker_", "result_", "control_", "event_", "beat_", "accept_", "celery")
_NEARLY = 2


class Found(NamedTuple):
    """What a source says.

    `settings` go by their present names; `unknown` are names nobody knows, `misspelt` pairs of a name and what it was
    meant to be; `old` are the names from before Celery 4 that it uses; `doubts` pairs of a sentence to warn with and
    the name that does not count; `strays` names in the namespace that mean nothing here, and may mean something to
    others. `ours` is whether the source holds nothing but settings.
    """

    settings: dict[str, Any]
    ours: bool = True
    unknown: tuple[str, ...] = ()
    misspelt: tuple[tuple[str, str], ...] = ()
    old: tuple[str, ...] = ()
    doubts: tuple[tuple[str, str], ...] = ()
    strays: tuple[str, ...] = ()


def from_environment() -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in ENVIRONMENT.items() if os.environ.get(variable)}


def canonical(name: str) -> str:
    """The present name of a setting that may be given by its old one."""
    if name in BY_NAME:
        return name
    return OLD_NAMES.get(name) or (name.lower() if is_extension(name) else name)


def is_known(name: str) -> bool:
    """Whether `name` is the present name of a setting, or one of an extension."""
    return name in BY_NAME or is_extension(name)


def read(source: Any, namespace: str | None = None, prepare: Prepare | None = None) -> Found:
    """The settings in `source`: a mapping, an object, or the path `module`, `module:name`, `module.name` of one.

    `prepare` sees the names and values first, and returns those that count.
    """
    found = load(source) if isinstance(source, str) else source
    ours = isinstance(found, Mapping)
    given = dict(found) if isinstance(found, Mapping) else dict(_public(found))
    if prepare is not None:
        given = dict(prepare(given))
    return _of_namespace(given, namespace, ours=ours) if namespace else _plain(given, ours=ours)


def load(path: str, what: str = "configuration") -> Any:
    """The object at a dotted path; the working directory is searched too. Raises ImproperlyConfigured, of `what`."""
    module, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if attribute:
            return getattr(import_module(module), attribute)
        return _load_dotted(module)
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(f"{what} {path!r} cannot be loaded: {error}") from error
    except Exception as error:  # user code: importing it may raise anything
        raise ImproperlyConfigured(
            f"{what} {path!r} cannot be loaded, it raises {type(error).__name__}: {error}; correct that first"
        ) from error


def _load_dotted(path: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        parent, _, name = path.rpartition(".")
        if not parent or error.name != path:
            raise
        return getattr(import_module(parent), name)


def _public(source: Any) -> Iterator[tuple[str, Any]]:
    """What an object has; one may list more than that, as Django's settings do where `settings.configure` made them."""
    for name in dir(source):
        if not name.startswith("_") and hasattr(source, name):
            yield name, getattr(source, name)


def _plain(given: dict[str, Any], *, ours: bool) -> Found:
    """Names as they are: present or old ones, but not both."""
    known = {name: setting for name in given if is_known(setting := canonical(name))}
    old = {name for name in known if name in OLD_NAMES}
    present = known.keys() - old
    # Celery's rule: the style of most names is meant, and each name of the other style must also be there in it.
    stronger, weaker = (old, present) if len(old) > len(present) else (present, old)
    said = {known[name] for name in stronger}
    strays = sorted(name for name in weaker if known[name] not in said)
    if strays and stronger:
        raise ImproperlyConfigured(
            f"old and new names of settings are mixed: rename {_renames(strays, to_old=stronger is old)}"
        )
    settings = {known[name]: given[name] for name in (*weaker, *stronger)}
    strange = [name for name in given if name not in known]
    return Found(
        settings,
        ours,
        unknown=tuple(strange) if ours else (),
        misspelt=() if ours else tuple(_misspelt(strange)),
        old=tuple(sorted(old)),
        doubts=tuple(_doubts(weaker, stronger, known, given)),
    )


def _of_namespace(given: dict[str, Any], namespace: str, *, ours: bool) -> Found:
    """Names that begin with the namespace, which is in upper or lower case as they are."""
    prefix = namespace if namespace.endswith("_") else namespace + "_"
    settings, unknown, misspelt, strays = {}, [], [], []
    for name, value in given.items():
        if not name.startswith(prefix):
            continue
        short = name[len(prefix) :].lower() if prefix.isupper() else name[len(prefix) :]
        setting = canonical(short)
        if is_known(setting):
            settings[setting] = value
        elif ours:
            unknown.append(short)
        else:
            # `CELERY_DEFAULT_QUEUE` is an old name, and with the namespace CELERY it is no name at all.
            meant = OLD_NAMES.get(name) or nearest(short, BY_NAME, _NEARLY)
            if meant is None:
                strays.append(name)
            else:
                misspelt.append((name, prefix + (meant.upper() if prefix.isupper() else meant)))
    return Found(settings, ours, unknown=tuple(unknown), misspelt=tuple(misspelt), strays=tuple(strays))


def _doubts(
    weaker: Iterable[str], stronger: Iterable[str], known: Mapping[str, str], given: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    said = {known[name]: name for name in stronger}
    for name in weaker:
        other = said.get(known[name])
        if other is not None and given[other] != given[name]:
            yield f"{name!r} and {other!r} are one setting with two values; keep one", name


def _renames(names: Iterable[str], *, to_old: bool) -> str:
    return ", ".join(f"{name} to {_old_name(name) if to_old else canonical(name)}" for name in names)


def _old_name(name: str) -> str:
    setting = BY_NAME.get(name)
    return setting.old if setting is not None and setting.old not in ("", "=") else name.upper()


def _misspelt(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name.lower().startswith(_PREFIXES):
            meant = nearest(name.lower(), BY_NAME, _NEARLY)
            if meant is not None:
                yield name, meant
