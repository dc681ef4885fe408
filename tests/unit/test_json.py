"""JSON as Kombu writes and reads it."""

import enum
import gc
import json
import math
import sys
import types
import weakref
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers import JSON, register_type
from tests.recorded import Call, calls

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 9


class Plain(enum.Enum):
    ONE = 1


class Point:
    def __json__(self) -> dict[str, int]:
        return {"x": 1}


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_bodies_are_written_byte_for_byte_as_celery_writes_them(call: Call) -> None:
    assert JSON.dumps((call.args, call.kwargs, EMBED)).decode() == call.body


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_bodies_that_celery_wrote_are_read(call: Call) -> None:
    args, kwargs, embed = JSON.loads(call.body.encode())

    assert args == list(call.args)
    assert json.dumps(kwargs) == json.dumps(call.kwargs)
    assert embed == EMBED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**70, str(2**70)),
        (-(2**64), str(-(2**64))),
        (math.inf, "Infinity"),
        (Colour.RED, '"red"'),
        (Level.HIGH, "9"),
        (Point(), '{"x": 1}'),
        ({1: 2, None: 3, False: 4, 1.5: 5}, '{"1": 2, "null": 3, "false": 4, "1.5": 5}'),
        (UUID(int=5), '{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000005"}}'),
        (b"\xff", '{"__type__": "base64", "__value__": "/w=="}'),
    ],
)
def test_values_on_the_edge(value: object, text: str) -> None:
    assert JSON.dumps(value).decode() == text


def test_nan_is_written_and_read() -> None:
    assert JSON.dumps(math.nan) == b"NaN"
    assert math.isnan(JSON.loads(b"NaN"))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([1, {"when": 1j}], "args[1]['when']: complex is not JSON"),
        ([{1, 2}], "args[0]: set is not JSON"),
        ([timedelta(1)], "args[0]: timedelta is not JSON"),
        ([Plain.ONE], "args[0]: Plain is not JSON"),
        ([{(1, 2): 3}], "args[0]: key (1, 2) is a tuple, and keys must be strings or numbers"),
    ],
)
def test_what_is_not_json_is_refused_by_its_path(value: object, complaint: str) -> None:
    with pytest.raises(EncodeError) as caught:
        JSON.dumps(value, "args")

    assert str(caught.value) == complaint


def test_a_container_that_cannot_be_read_is_refused() -> None:
    class Lazy(dict[str, int]):
        def items(self) -> Any:
            raise ConnectionError("the database is gone")

    with pytest.raises(EncodeError, match=r"^result cannot be read for JSON: ConnectionError: the database is gone$"):
        JSON.dumps([Lazy(a=1)], "result")


def test_a_value_that_cannot_even_be_shown_is_refused() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(EncodeError, match=r"^args: keys must be str, int, float, bool or None, not Shy$"):
        JSON.dumps({Shy(): 1}, "args")


def test_what_contains_itself_or_never_ends_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for bad in (value, deep):
        with pytest.raises(EncodeError):
            JSON.dumps(bad)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"__type__": "nobody", "__value__": 1}',
        b'{"__type__": 1, "__value__": 1}',
        b'{"__type__": "uuid", "__value__": {"hex": "xyz"}}',
        b'{"__type__": "uuid", "__value__": 3}',
        b'{"__type__": "datetime", "__value__": "yesterday"}',
        b'{"__type__": "decimal", "__value__": "one"}',
        b'{"__type__": "base64", "__value__": "*"}',
    ],
)
def test_what_cannot_be_read_is_one_error(raw: bytes) -> None:
    with pytest.raises(ContentError) as caught:
        JSON.loads(raw)

    assert "\n" not in str(caught.value)


def test_a_tag_among_other_keys_is_plain_data() -> None:
    value = {"__type__": "uuid", "__value__": 1, "more": 2}

    assert JSON.loads(json.dumps(value).encode()) == value


def test_values_of_every_kind_come_back() -> None:
    value = [datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2), time(3), Decimal("1.10"), uuid4(), b"a", b"\xff"]

    assert JSON.loads(JSON.dumps(value)) == value


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert JSON.loads(JSON.dumps(value)) == value


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    try:
        JSON.loads(raw)
    except ContentError:
        pass


def nested(depth: int) -> list[Any]:
    value: list[Any] = [1]
    for _ in range(depth - 1):
        value = [value]
    return value


def test_values_nest_nine_hundred_deep() -> None:
    assert JSON.loads(JSON.dumps(nested(900))) == nested(900)
    with pytest.raises(EncodeError, match=r"^args is nested too deeply for JSON$"):
        JSON.dumps(nested(901), "args")


def test_a_value_that_replaces_itself_for_ever_is_refused() -> None:
    class Endless:
        def __json__(self) -> object:
            return Endless()

    class Me:
        def __json__(self) -> object:
            return [self]

    with pytest.raises(EncodeError, match=r"^args is nested too deeply for JSON$"):
        JSON.dumps(Endless(), "args")
    with pytest.raises(EncodeError, match=r"^args contains itself; JSON cannot$"):
        JSON.dumps(Me(), "args")


def test_the_same_value_twice_is_no_circle() -> None:
    shared = [1]

    assert JSON.dumps([shared, {"a": shared}]) == b'[[1], {"a": [1]}]'


def test_user_code_may_write_json_itself_and_change_what_is_being_written() -> None:
    told: dict[str, Any] = {}
    row: list[Any] = []

    class Meddler:
        def __json__(self) -> object:
            told.clear()
            del row[2:]
            return JSON.dumps([1]).decode()

    told.update({str(i): Meddler() for i in range(5)})
    row[:] = [told, Meddler(), 1, 2, 3]

    assert json.loads(JSON.dumps(row)) == [{str(i): "[1]" for i in range(5)}, "[1]"]


def test_an_integer_beyond_pythons_own_limit_is_refused_by_its_path() -> None:
    with pytest.raises(EncodeError, match=r"^args\[0\]: Exceeds the limit"):
        JSON.dumps([10**5000], "args")


def test_what_is_no_exception_goes_through() -> None:
    class Stop:
        def __json__(self) -> object:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        JSON.dumps([Stop()])


def test_a_refusal_keeps_nothing_alive() -> None:
    class Kept:
        pass

    kept = Kept()
    seen = weakref.ref(kept)
    with pytest.raises(EncodeError, match="Kept is not JSON"):
        JSON.dumps([{"a": kept}])
    del kept
    gc.collect()

    assert seen() is None


def test_dicts_of_the_users_own_say_what_their_items_are() -> None:
    class Odd(dict[str, int]):
        def items(self) -> Any:
            return [("a", 2), ("b", 3)]

    class Bad(dict[str, int]):
        def items(self) -> Any:
            return [1]

    assert JSON.dumps(Odd(x=1)) == b'{"a": 2, "b": 3}'
    assert JSON.dumps(Odd()) == b"{}"
    with pytest.raises(EncodeError, match=r"^value cannot be read for JSON: ValueError: items must return 2-tuples$"):
        JSON.dumps(Bad(x=1))


def test_django_lazy_text_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Promise:
        def __str__(self) -> str:
            return "later"

    module = types.ModuleType("django.utils.functional")
    module.Promise = Promise  # type: ignore[attr-defined]  # a module made for this test
    monkeypatch.setitem(sys.modules, module.__name__, module)

    assert JSON.dumps([Promise()]) == b'["later"]'


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Secret:
    pass


def test_registered_types_travel_tagged_or_as_what_their_encoder_says() -> None:
    register_type(Money, "money", lambda money: {"cents": money.cents}, lambda told: Money(told["cents"]))
    register_type(Secret, None, lambda _: "***")

    written = JSON.dumps([Money(5), Secret()])

    assert written == b'[{"__type__": "money", "__value__": {"cents": 5}}, "***"]'
    assert JSON.loads(written)[0].cents == 5
    with pytest.raises(ContentError, match="is not a money"):
        JSON.loads(b'{"__type__": "money", "__value__": 3}')
