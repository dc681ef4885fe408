"""Values that JSON lacks, as Kombu writes them: `{"__type__": name, "__value__": ...}`, and how they are read.

What a value may be is asked in Kombu's order: its own `__json__`, Django's lazy text, the types by the order of their
registration, bytes. Subclasses of str, int, float, list, tuple and dict never come here: JSON has them.
"""

import base64
import sys
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from celery_rs.errors import ContentError

_TAGGED = {"__type__", "__value__"}


class _Written(NamedTuple):
    marker: str | None
    encode: Callable[[Any], object]


class Tags:
    """The registry of types. Any thread: a registration replaces its tables, and those who read keep theirs."""

    def __init__(self) -> None:
        self._written: dict[type, _Written] = {}
        self._read: dict[str, Callable[[Any], object]] = {
            "bytes": lambda value: value.encode("utf-8"),
            "base64": lambda value: base64.b64decode(value, validate=True),
        }

    def register(
        self, kind: type, marker: str | None, encode: Callable[[Any], object], decode: Callable[[Any], object]
    ) -> None:
        self._written = {**self._written, kind: _Written(marker, encode)}
        if marker is not None:
            self._read = {**self._read, marker: decode}

    def replace(self, value: Any) -> object:
        """What to write for a value that JSON lacks. Raises TypeError, and what the user's encoders raise."""
        own = getattr(value, "__json__", None)
        if own is not None:
            try:
                return own()
            except Exception as error:
                raise TypeError(f"__json__ of {type(value).__name__} failed: {error!r}") from error
        if _is_lazy_text(value):
            return str(value)
        for kind, (marker, encode) in self._written.items():
            if isinstance(value, kind):
                return encode(value) if marker is None else _tag(marker, encode(value))
        if isinstance(value, bytes):
            try:
                return _tag("bytes", value.decode("utf-8"))
            except UnicodeDecodeError:
                return _tag("base64", base64.b64encode(value).decode("ascii"))
        raise TypeError(f"{type(value).__name__} is not JSON")

    def restore(self, mapping: dict[str, Any]) -> object:
        """The value of a tagged object; any other object as it is. Raises ContentError."""
        if len(mapping) != 2 or mapping.keys() != _TAGGED:
            return mapping
        marker, value = mapping["__type__"], mapping["__value__"]
        decode = self._read.get(marker) if isinstance(marker, str) else None
        if decode is None:
            raise ContentError(f"unknown type tag {marker!r}, expected one of {', '.join(self._read)}")
        try:
            return decode(value)
        except Exception as error:  # noqa: BLE001  (each decoder has errors of its own)
            raise ContentError(f"{value!r} is not a {marker}: {error}") from None


def _tag(marker: str, value: object) -> dict[str, object]:
    return {"__type__": marker, "__value__": value}


def _is_lazy_text(value: object) -> bool:
    """Whether it is what Django's `gettext_lazy` returns; nobody has one where that module is not loaded."""
    module = sys.modules.get("django.utils.functional")
    promise = getattr(module, "Promise", None)
    return isinstance(promise, type) and isinstance(value, promise)


TAGS = Tags()
# datetime before date: it is one. Each as Kombu calls it: a subclass's own isoformat counts for dates only.
TAGS.register(datetime, "datetime", datetime.isoformat, datetime.fromisoformat)
TAGS.register(date, "date", lambda value: value.isoformat(), lambda value: datetime.fromisoformat(value).date())
TAGS.register(time, "time", lambda value: value.isoformat(), time.fromisoformat)
TAGS.register(Decimal, "decimal", str, Decimal)
TAGS.register(UUID, "uuid", lambda value: {"hex": value.hex}, lambda value: UUID(**value))


def _as_it_is(value: Any) -> Any:
    return value


def register_type(
    kind: type, marker: str | None, encoder: Callable[[Any], object], decoder: Callable[[Any], object] = _as_it_is
) -> None:
    """Let JSON carry values of `kind`, tagged with `marker`; Kombu's `register_type`.

    Without a marker (None) what `encoder` returns takes the value's place, and nothing turns it back.
    """
    TAGS.register(kind, marker, encoder, decoder)
