"""Settings: one lookup over layers, by attribute or by item.

From the strongest: the environment, what was set on this object, the configuration source, added defaults, the
table. The source is read at the first lookup, never while it is named. `version` rises with every change, so that
whoever caches something derived from settings knows when to derive it again.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from celery_rs.config import sources
from celery_rs.config.settings import BY_NAME, DEFAULTS
from celery_rs.config.spelling import suggestion
from celery_rs.errors import ImproperlyConfigured

_SECRET = re.compile(r"api_key|token|secret|passw|_key$|signature", re.IGNORECASE)
_NOT_SECRET = frozenset({"task_default_routing_key"})
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^@]*(?=@)")
_MASK = "********"

_OWN = frozenset({"version", "_environment", "_changes", "_pending", "_source", "_defaults", "_merged"})


class Settings(Mapping[str, Any]):
    """Reading and setting raise ImproperlyConfigured for unknown names and values of the wrong kind."""

    def __init__(self, changes: Mapping[str, Any] | None = None) -> None:
        self.version = 0
        self._environment: dict[str, Any] = dict(sources.from_environment())
        self._changes: dict[str, Any] = {}
        self._pending: tuple[Any, str | None, bool] | None = None
        self._source: dict[str, Any] = {}
        self._defaults: dict[str, Any] = {}
        self._merged: dict[str, Any] | None = None
        self.update(changes or {})

    # reading

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._all()[name]
        except KeyError:
            pass
        try:
            return self._all()[self._known(name)]
        except ImproperlyConfigured as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._all()[name]
        except KeyError:
            return self._all()[self._known(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and sources.canonical(name) in self._all()

    def __repr__(self) -> str:
        return f"<Settings {self.table()!r}>"

    def is_set(self, name: str) -> bool:
        """Whether anybody set it, be it to its default."""
        name = self._known(name)
        self._all()
        return any(name in layer for layer in (self._environment, self._changes, self._source, self._defaults))

    def table(self, *, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
        """What was set (and, asked for, everything else); secrets are masked unless `censored` is off."""
        shown = {name: value for name, value in self._all().items() if with_defaults or self.is_set(name)}
        return {name: censor(name, value) for name, value in shown.items()} if censored else shown

    # setting

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            self.update({name: value})

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, changes: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set several; all of them or, when one is wrong, none."""
        wanted = dict(changes or {}, **more)
        checked = self._checked(wanted, strict=wanted.get("strict_config", self._strict()))
        self._changes |= checked
        self._changed()

    def add_defaults(self, defaults: Mapping[str, Any]) -> None:
        """Values for what nobody else sets."""
        self._defaults |= self._checked(defaults, strict=self._strict())
        self._changed()

    def read_from(
        self, source: Any, *, namespace: str | None = None, silent: bool = False, force: bool = False
    ) -> None:
        """Take settings from a mapping, a module, an object or the dotted path of one: now with `force`, else at the
        first lookup. `silent` makes a source that cannot be imported an empty one."""
        self._pending = (source, namespace, silent)
        self._changed()
        if force:
            self._all()

    # inside

    def _all(self) -> dict[str, Any]:
        if self._merged is None:
            if self._pending is not None:
                pending, self._pending = self._pending, None
                try:
                    self._source = self._read(*pending)
                except BaseException:
                    self._pending = pending
                    raise
            self._merged = DEFAULTS | self._defaults | self._source | self._changes | self._environment
        return self._merged

    def _read(self, source: Any, namespace: str | None, silent: bool) -> dict[str, Any]:
        try:
            found = sources.read(source, namespace)
        except ImproperlyConfigured as error:
            if silent and isinstance(error.__cause__, ImportError):
                return {}
            raise
        for name, meant in found.misspelt:
            warnings.warn(f"{name!r} is not a setting; did you mean {meant!r}?", stacklevel=2)
        strict = found.settings.get("strict_config", self._strict())
        return self._checked(found.settings | dict.fromkeys(found.unknown), strict=strict)

    def _strict(self) -> bool:
        return bool(self._changes.get("strict_config", self._source.get("strict_config", True)))

    def _checked(self, wanted: Mapping[str, Any], *, strict: Any) -> dict[str, Any]:
        checked = {}
        for given, value in wanted.items():
            try:
                name = self._known(given)
            except ImproperlyConfigured as error:
                if strict:
                    raise
                warnings.warn(str(error), stacklevel=3)
                continue
            checked[name] = _check(name, value)
        return checked

    def _known(self, name: str) -> str:
        known = sources.canonical(name)
        if known not in BY_NAME:
            raise ImproperlyConfigured(f"unknown setting {name!r}{suggestion(name.lower(), BY_NAME)}")
        return known

    def _changed(self) -> None:
        self._merged = None
        self.version += 1


def _check(name: str, value: Any) -> Any:
    if value is None:
        # None everywhere means: as if it had not been set, but stronger than the layers below.
        return DEFAULTS[name] if DEFAULTS[name] is not None and name not in _NONE_MEANS_OFF else None
    try:
        return BY_NAME[name].check(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be {error}, got {censor(name, value)!r}") from None


_NONE_MEANS_OFF = frozenset({"result_expires"})


def censor(name: str, value: Any) -> Any:
    """`value` without secrets: passwords in URLs, and everything under a name that speaks of one."""
    if isinstance(value, Mapping):
        return {key: censor(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [censor(name, item) for item in value]
    if not isinstance(value, str):
        return value
    if _SECRET.search(name) and name not in _NOT_SECRET:
        return _MASK
    return _URL_PASSWORD.sub(rf"\1:{_MASK}", value)
