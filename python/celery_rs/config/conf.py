"""Settings: one lookup over layers, by attribute or by item.

From the strongest: the environment, what was set on this object, the configuration source, added defaults, the
table. The source is read at the first lookup, never while it is named, asked for (`in`) or written over. `version`
rises with every change, so that whoever caches something derived from settings knows when to derive it again.
"""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pprint import pformat
from typing import Any, NamedTuple

from celery_rs.config import sources
from celery_rs.config.manners import manners
from celery_rs.config.secrets import censor
from celery_rs.config.settings import BY_NAME, DEFAULTS, NOT_YET, WORKS, Setting
from celery_rs.config.spelling import nearest, suggestion
from celery_rs.errors import ImproperlyConfigured, UnknownSetting

Defaults = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

_LAYERS = (
    "_environment",
    "_changes",
    "_pending",
    "_source",
    "_old",
    "_complaints",
    "_defaults",
    "_waiting",
    "_merged",
)
_OWN = frozenset({"version", "was_read", "_lock", "_before", "_after", "_prepare", *_LAYERS})
_NONE_MEANS_OFF = frozenset({"result_expires", "broker_connection_max_retries"})
_WIDTH = 50


class Option(NamedTuple):
    """Where `find_option` found a setting: `("worker", "concurrency", <row of the table>)`."""

    namespace: str
    key: str
    setting: Setting


class Complaint(NamedTuple):
    """What is wrong with a setting that was let pass with a warning, and what to do about it."""

    what: str
    change: str


class Settings(MutableMapping[str, Any]):
    """Reading and setting raise ImproperlyConfigured for unknown names and values of the wrong kind."""

    def __init__(self, changes: Mapping[str, Any] | None = None, *, lock: Any = None) -> None:
        """`lock` is a reentrant one that whoever listens to the first lookup holds too, lest the two wait for each
        other."""
        self.version = 0
        self.was_read = False
        """Whether anybody has looked up a setting."""
        self._lock = lock or threading.RLock()
        self._before: Callable[[], object] | None = None
        self._after: Callable[[], object] | None = None
        self._prepare: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None
        self._environment: dict[str, Any] = dict(sources.from_environment())
        self._changes: dict[str, Any] = {}
        self._pending: tuple[Any, str | None, bool] | None = None
        self._source: dict[str, Any] = {}
        self._old: tuple[str, ...] = ()
        self._complaints: list[Complaint] = []
        self._defaults: dict[str, Any] = {}
        self._waiting: list[Callable[[], Mapping[str, Any]]] = []
        self._merged: dict[str, Any] | None = None
        self.update(changes or {})

    # reading

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        settings = self._all()
        try:
            return settings[name]
        except KeyError:
            pass
        try:
            return self[name]
        except UnknownSetting as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, name: str) -> Any:
        settings = self._all()
        try:
            return settings[name]
        except KeyError:
            pass
        try:
            return settings[_known(name)]
        except KeyError as error:
            # An extension's setting that nobody set; a name that is unknown has said so itself.
            raise error if isinstance(error, UnknownSetting) else UnknownSetting(f"{name!r} is not set") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = sources.canonical(name)
        return name in BY_NAME or any(name in layer for layer in self._layers())

    def __repr__(self) -> str:
        return f"<Settings {self.table()!r}>"

    @property
    def broker_read_url(self) -> str | None:
        """Where workers take messages from."""
        found: str | None = self["broker_read_url"] or self["broker_url"]
        return found

    @property
    def broker_write_url(self) -> str | None:
        """Where calls are sent to."""
        found: str | None = self["broker_write_url"] or self["broker_url"]
        return found

    @property
    def changes(self) -> dict[str, Any]:
        """What was set on this object or given to the app, by name."""
        return dict(self._changes)

    @property
    def deprecated_settings(self) -> tuple[str, ...]:
        """The names from before Celery 4 that the source uses."""
        self._all()
        return self._old

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """What was wrong and let pass, with a warning each."""
        self._all()
        return tuple(self._complaints)

    def is_set(self, name: str) -> bool:
        """Whether anybody set it, be it to its default."""
        name = _known(name)
        self._all()
        return any(name in layer for layer in self._layers())

    def value_set_for(self, name: str) -> bool:
        """Celery's word for `is_set`."""
        return self.is_set(name)

    def without_defaults(self) -> dict[str, Any]:
        """What anybody set, by name; secrets are in it."""
        return {name: value for name, value in self._all().items() if any(name in layer for layer in self._layers())}

    def find_option(self, name: str, namespace: str = "") -> Option:
        """The setting whose name, or whose name without its first word, is `name`; `namespace` is looked in first.

        Raises UnknownSetting.
        """
        name = name.lower()
        known = f"{namespace}_{name}".strip("_") if namespace else name
        ends = [known, name, *(full for full in BY_NAME if full.partition("_")[2] == name)]
        found = next((BY_NAME[full] for full in ends if full in BY_NAME), None)
        if found is None:
            raise _unknown(name)
        first, _, rest = found.name.partition("_")
        return Option(first, rest, found) if rest else Option("", first, found)

    def get_by_parts(self, *parts: str) -> Any:
        """The value of the setting whose name these parts make: `get_by_parts("worker", "concurrency")`."""
        return self["_".join(part for part in parts if part)]

    def find_value_for_key(self, name: str, namespace: str = "celery") -> Any:
        """The value of the setting that `find_option` finds."""
        return self[self.find_option(name, namespace).setting.name]

    def table(self, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
        """What was set (and, asked for, everything else); secrets are masked unless `censored` is off."""
        shown = dict(self._all()) if with_defaults else self.without_defaults()
        return {name: censor(name, value) for name, value in shown.items()} if censored else shown

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """The same, a line for each."""
        table = self.table(with_defaults, censored)
        return "\n".join(f"{name}: {pformat(value, width=_WIDTH)}" for name, value in table.items())

    def copy(self) -> "Settings":
        """Settings of the same layers, whose changes are their own."""
        other = Settings()
        for layer in _LAYERS:
            value = getattr(self, layer)
            object.__setattr__(other, layer, value.copy() if isinstance(value, dict | list) else value)
        return other

    def finalize(self) -> "Settings":
        """Read the source now."""
        self._all()
        return self

    # setting

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            self.update({name: value})

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        """Take back what was set on this object; the layers below show again."""
        with self._lock:
            del self._changes[_known(name)]
            self._changed()

    def update(  # type: ignore[override]  # one signature instead of four overloads
        self, changes: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **more: Any
    ) -> None:
        """Set several; all of them or, when one is wrong, none."""
        wanted = dict(changes, **more)
        with self._lock:
            self._changes |= self._checked(wanted, strict=wanted.get("strict_config", self._strict()))
            self._changed()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Set it unless somebody has; a source that has not been read is not asked. Returns the value."""
        name = _known(name)
        if not any(name in layer for layer in self._layers()):
            self.update({name: default})
        return next(layer[name] for layer in self._layers() if name in layer)

    def clear(self) -> None:
        """Take back all that was set on this object."""
        with self._lock:
            self._changes = {}
            self._changed()

    def add_defaults(self, defaults: Defaults) -> None:
        """Values for what nobody else sets, or a function that returns them at the first lookup; the first wins."""
        with self._lock:
            if callable(defaults):
                self._waiting.append(defaults)
            else:
                self._defaults = self._checked(defaults, strict=self._strict()) | self._defaults
            self._changed()

    def read_from(
        self, source: Any, *, namespace: str | None = None, silent: bool = False, force: bool = False
    ) -> None:
        """Take settings from a mapping, a module, an object or the dotted path of one: now with `force`, else at the
        first lookup. `silent` makes a source that cannot be imported an empty one."""
        with self._lock:
            self._pending = (source, namespace, silent)
            self._changed()
        if force:
            self._all()

    # for the app

    def on_first_reading(self, before: Callable[[], object], after: Callable[[], object]) -> None:
        """Have these called around the first lookup: `before` may name a source, `after` sees every setting."""
        self._before, self._after = before, after

    def prepare_source(self, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        """Have `change` see what a source says, by the names in it, and return what it is to say."""
        self._prepare = change

    def after_fork(self, lock: Any) -> None:
        """In the child: another thread of the parent may have held the lock, and is not there to release it."""
        self._lock = lock

    # inside

    def _layers(self) -> tuple[dict[str, Any], ...]:
        return self._environment, self._changes, self._source, self._defaults

    def _all(self) -> dict[str, Any]:
        merged = self._merged
        return merged if merged is not None else self._merge()

    def _merge(self) -> dict[str, Any]:
        with self._lock:
            first = not self.was_read
            if first:
                # What is called here may look up settings itself: it sees what there is so far.
                self.was_read = True
            try:
                if first:
                    self._call(self._before)
                self._take_up()
            except BaseException:
                self.was_read = not first  # the next lookup tries again, and does not go on without them
                raise
            merged = DEFAULTS | self._defaults | self._source | self._changes | self._environment
            self._merged = merged
            if first:
                self._call(self._after)
                return self._all()
            return merged

    def _take_up(self) -> None:
        """Read what has been named and not been read yet; what cannot be read stays named."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            try:
                self._source, self._old = self._read(*pending)
            except BaseException:
                self._pending = pending
                raise
        while self._waiting:
            defaults = self._waiting.pop(0)
            try:
                self._defaults = self._checked(defaults(), strict=self._strict()) | self._defaults
            except BaseException:
                self._waiting.insert(0, defaults)
                raise

    def _call(self, listener: Callable[[], object] | None) -> None:
        if listener is not None:
            listener()

    def _read(self, source: Any, namespace: str | None, silent: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
        try:
            found = sources.read(source, namespace, self._prepare)
        except ImproperlyConfigured as error:
            if silent and isinstance(error.__cause__, ImportError):
                return {}, ()
            raise
        for name, meant in found.misspelt:
            self._complain(f"{name!r} is not a setting; did you mean {meant!r}?", f"rename {name} to {meant}")
        for doubt, weaker in found.doubts:
            self._complain(doubt, f"delete {weaker}")
        for stray in found.strays:
            # No warning: other packages keep their names there, too.
            self._complaints.append(Complaint(f"{stray!r} is not a setting", f"delete {stray}, unless others read it"))
        strict = found.settings.get("strict_config", self._strict())
        wanted = found.settings | dict.fromkeys(found.unknown)
        return self._checked(wanted, strict=strict and found.ours), found.old

    def _strict(self) -> bool:
        return bool(self._changes.get("strict_config", self._source.get("strict_config", manners().strict)))

    def _checked(self, wanted: Mapping[str, Any], *, strict: Any) -> dict[str, Any]:
        """By present names, each value as its row keeps it. What is no setting that works is an error if `strict`."""
        checked = {}
        for given, value in wanted.items():
            try:
                name = _known(given)
                _refuse(name, value)
            except ImproperlyConfigured as error:
                if strict:
                    raise
                known = not isinstance(error, UnknownSetting)
                self._complain(str(error), _change(given))
                if known:
                    checked[name] = value
            else:
                checked[name] = _check(name, value)
        return checked

    def _complain(self, what: str, change: str) -> None:
        self._complaints.append(Complaint(what, change))
        warnings.warn(what, stacklevel=4)

    def _changed(self) -> None:
        self._merged = None
        self.version += 1


def _known(name: str) -> str:
    known = sources.canonical(name)
    if not sources.is_known(known):
        raise _unknown(name)
    return known


def _unknown(name: str) -> UnknownSetting:
    return UnknownSetting(f"unknown setting {name!r}{suggestion(name.lower(), BY_NAME)}")


def _change(given: str) -> str:
    """What to do about a setting that is unknown or does not work."""
    meant = nearest(given.lower(), BY_NAME)
    known = sources.is_known(sources.canonical(given))
    return f"delete {given}" if known or meant is None else f"rename {given} to {meant}"


def _refuse(name: str, value: Any) -> None:
    """Raise for a setting that does not work, unless it is left as it is."""
    setting = BY_NAME.get(name)
    if setting is None or setting.state == WORKS or value is None or value == setting.default:
        return
    yet = " yet" if setting.state == NOT_YET else ""
    raise ImproperlyConfigured(f"{name} is not supported{yet}: {setting.why}; got {censor(name, value)!r}")


def _check(name: str, value: Any) -> Any:
    setting = BY_NAME.get(name)
    if setting is None:
        return value
    if value is None:
        # None everywhere means: as if it had not been set, but stronger than the layers below.
        return None if name in _NONE_MEANS_OFF else setting.default
    try:
        return setting.check(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be {error}, got {censor(name, value)!r}") from None
