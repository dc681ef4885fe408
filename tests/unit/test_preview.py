"""Argument previews: Celery's text, bounded work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.wire import preview
from tests.recorded import Call, calls


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_the_text_is_what_celery_writes(call: Call) -> None:
    assert preview(call.args) == call.argsrepr
    assert preview(call.kwargs) == call.kwargsrepr


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), "()"),
        ((2,), "(2,)"),
        ((2, 3), "(2, 3)"),
        ([1], "[1]"),
        ({}, "{}"),
        (set(), "set()"),
        ({1, 2}, "{1, 2}"),
        (("it's",), "('it\\'s',)"),
        (None, "None"),
        (True, "True"),
        ("plain", "'plain'"),
        (b"\xff", "b'ff'"),
        ([[[[]]]], "[[[[]]]]"),
        ([[[[1]]]], "[[[[...]]]]"),
    ],
)
def test_small_values(value: object, text: str) -> None:
    assert preview(value) == text


def test_a_string_is_cut_at_the_last_space() -> None:
    assert preview(["one two three"], limit=10) == "['one two...', ...]"


def test_a_value_that_contains_itself_ends() -> None:
    value: list[object] = [1]
    value.append(value)

    assert preview(value) == "[1, [...]]"


def test_a_repr_that_raises_is_shown_as_such() -> None:
    assert preview((Unprintable(),)) == "(<Unprintable: its repr failed with RuntimeError>,)"


def test_a_container_that_raises_is_shown_as_such() -> None:
    class Torn(dict[str, int]):
        def items(self):
            raise RuntimeError("no")

    assert preview([Torn(a=1)]) == "<list: its text failed with RuntimeError>"


def test_a_huge_list_costs_no_more_than_its_beginning() -> None:
    class Counted(list[int]):
        seen = 0

        def __iter__(self):
            for item in super().__iter__():
                Counted.seen += 1
                yield item

    text = preview(Counted(range(1_000_000)))

    assert text.endswith("...]")
    assert Counted.seen < 1024


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(nested, st.integers(1, 200))
def test_any_value_has_a_bounded_text(value: object, limit: int) -> None:
    assert len(preview(value, limit)) <= limit + 80


@given(st.lists(st.integers() | st.text(alphabet="abc' ", max_size=70), max_size=10).map(tuple))
def test_the_quick_way_agrees_with_the_long_way(value: tuple[object, ...]) -> None:
    # Lists always go the long way.
    inner = preview(list(value))[1:-1]

    assert preview(value) == (f"({inner},)" if len(value) == 1 else f"({inner})")
