"""What a row of the table says, and the kinds of rows there are.

A row's `old` is its name before Celery 4; `=` is the upper-cased new one, and an empty one means that Celery has not
declared it. Every setting may be None, which means what its help says.
"""

from typing import Any, Literal, NamedTuple, TypedDict, Unpack

from celery_rs.config import checks
from celery_rs.config.checks import Check

State = Literal["works", "refused", "not yet"]

WORKS: State = "works"
REFUSED: State = "refused"
NOT_YET: State = "not yet"


COMPRESSIONS = ("gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "brotli", "zstd", "zstandard")


class Setting(NamedTuple):
    """`check` returns the value to keep or raises ValueError saying what was expected; `type` is for people.

    A row that works names in `proof` the test that shows its effect; any other says in `why` what to do instead.
    Setting such a row to anything but its default or None is an error, or a warning where that is what mistakes are.
    """

    name: str
    type: str
    check: Check
    default: Any
    old: str
    help: str
    state: State = WORKS
    proof: str = ""
    why: str = ""

    @property
    def upper(self) -> str:
        """The name in upper case, which is the old one where `old` is `=`."""
        return self.name.upper()


class About(TypedDict, total=False):
    """What a row says about itself beyond its value."""

    state: State
    proof: str
    why: str


def flag(name: str, default: bool | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "bool", checks.flag, default, old, help, **about)


def text(name: str, default: str | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "string", checks.text, default, old, help, **about)


def whole(name: str, least: int, default: int | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "int", checks.at_least(least), default, old, help, **about)


def seconds(name: str, default: float | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "seconds", checks.seconds, default, old, help, **about)


def names(name: str, default: tuple[str, ...] | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "list", checks.names, default, old, help, **about)


def mapping(name: str, default: dict[str, Any] | None, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "dict", checks.mapping, default, old, help, **about)


def choice(name: str, allowed: tuple[Any, ...], default: Any, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "choice", checks.one_of(*allowed), default, old, help, **about)


def content(name: str, default: str, old: str, help: str, **about: Unpack[About]) -> Setting:
    return Setting(name, "serializer", checks.content, default, old, help, **about)


def anything(name: str, type: str, default: Any, old: str, help: str, **about: Unpack[About]) -> Setting:
    """For what nothing here looks into: refused settings, and values that are the user's own."""
    return Setting(name, type, checks.anything, default, old, help, **about)


def refused(name: str, type: str, default: Any, old: str, help: str, why: str) -> Setting:
    """A setting that means nothing here, or never will."""
    return Setting(name, type, checks.anything, default, old, help, REFUSED, why=why)
