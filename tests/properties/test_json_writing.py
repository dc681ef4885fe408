"""The JSON writer against Python's json and Kombu's codec: the same text digit for digit, read alike by both."""

import enum
import json
import math
import struct
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import kombu.utils.json
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from celery_rs.errors import EncodeError
from celery_rs.serializers import JSON
from tests.oracles import json_text

# Kombu has no types
kombu_dumps: Callable[[object], str] = vars(kombu.utils.json)["dumps"]
kombu_loads: Callable[[bytes], Any] = vars(kombu.utils.json)["loads"]

Pair = namedtuple("Pair", "left right")


class Colour(enum.StrEnum):
    RED = "réd"


class Old(str, enum.Enum):  # noqa: UP042  (StrEnum shows itself differently)
    ONE = "one"


class Level(enum.IntEnum):
    HIGH = 9
    HUGE = 2**80


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "never shown"

    __str__ = __repr__


class Number(int):
    def __repr__(self) -> str:
        return "never shown"


class Real(float):
    def __repr__(self) -> str:
        return "never shown"


class Own:
    def __init__(self, value: object) -> None:
        self.value = value

    def __json__(self) -> object:
        return self.value


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.times(timezones=st.none() | ZONES) | st.datetimes(timezones=st.none() | ZONES)
TEXTS = st.text(st.characters(exclude_categories=())) | st.text('\ud83d\ude00"\\/\n\x00\x7fé😀', max_size=8)
INTEGERS = st.integers() | st.integers(-(10**60), 10**60) | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
FLOATS = st.floats() | st.builds(lambda m, e: math.ldexp(m, e), st.integers(-4000, 4000), st.integers(-1080, 900))
SUBCLASSES = st.sampled_from([*Colour, *Old, *Level]) | TEXTS.map(Text) | INTEGERS.map(Number) | st.floats().map(Real)
PLAIN = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS | SUBCLASSES
TAGGED = st.binary() | st.uuids() | st.decimals() | st.dates() | MOMENTS
SCALARS = PLAIN | TAGGED
KEYS = PLAIN


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    dicts = st.dictionaries(KEYS, inner, max_size=4)
    return (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.builds(Pair, inner, inner)
        | dicts
        | dicts.map(OrderedDict)
        | dicts.map(lambda made: defaultdict(list, made))
        | inner.map(Own)
    )


VALUES = st.recursive(SCALARS, containers, max_leaves=25)
# The text says neither which NaN it was nor which of two equal hours.
EXACT = (
    st.binary()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.dates()
    | MOMENTS.map(lambda when: when.replace(fold=0))
)
# Two surrogates side by side are read as the letter that they make.
READ = TEXTS.map(lambda text: json.loads(json.dumps(text)))
READABLE = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | READ | EXACT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(READ, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=500)
@given(VALUES)
@example({math.nan: 1, math.inf: 2, True: 3, None: 4, 2**70: 5, 1e16: 6, "": 7})
@example(["\ud800", "\ude00\ud83d", {"\udfff": ()}])
def test_the_text_is_what_python_and_kombu_write(value: object) -> None:
    written = JSON.dumps(value)

    assert written == json_text.dumps(value)
    assert written == kombu_dumps(value).encode("ascii")


@settings(max_examples=1000)
@given(st.binary(min_size=8, max_size=8))
@example(struct.pack("<d", 2.0**-44))
@example(struct.pack("<d", 2.0**-24))
def test_any_float_is_written_as_python_shows_it(raw: bytes) -> None:
    (number,) = struct.unpack("<d", raw)

    assert JSON.dumps(number).decode() == json.dumps(number)


@settings(max_examples=300)
@given(READABLE)
def test_kombu_reads_what_we_wrote_and_we_what_kombu_wrote(value: object) -> None:
    ours, kombus = JSON.dumps(value), kombu_dumps(value).encode("ascii")

    assert repr(kombu_loads(ours)) == repr(value)
    assert repr(JSON.loads(kombus)) == repr(value)


REFUSED = st.sampled_from([1j, {1}, frozenset(), object(), range(3), memoryview(b""), bytearray(b"a"), timedelta(1)])
MIXED = st.recursive(PLAIN | REFUSED, containers, max_leaves=12)


@settings(max_examples=300)
@given(MIXED)
def test_what_kombu_refuses_we_refuse_and_nothing_else(value: object) -> None:
    try:
        expected = kombu_dumps(value).encode("ascii")
    except TypeError:
        with pytest.raises(EncodeError):
            JSON.dumps(value)
    else:
        assert JSON.dumps(value) == expected
