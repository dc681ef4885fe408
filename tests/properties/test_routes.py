"""Routing tables and topics, against Python's `fnmatch` and `re`."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_rs import _core
from tests.oracles import routes as oracle


def test_exact_names_come_first_and_patterns_in_order() -> None:
    table = _core.RouteTable(
        [("glob", "proj.*"), ("regex", r"proj\.tasks"), ("exact", "proj.tasks.add"), ("glob", "*")]
    )

    assert [table.lookup(name) for name in ("proj.tasks.add", "proj.tasks.mul", "other")] == [2, 0, 3]


def test_a_name_that_no_rule_fits_has_no_place() -> None:
    assert _core.RouteTable([("exact", "a"), ("glob", "b*")]).lookup("c") is None


def test_a_regex_holds_at_the_start_of_a_name_only() -> None:
    table = _core.RouteTable([("regex", "b|ab")])

    assert [table.lookup(name) for name in ("abc", "b", "cab")] == [0, 0, None]


@pytest.mark.parametrize("pattern", ["(", r"(?=a)", r"(a)\1", "a)|(b", "[a&&b]", "[[a]", "a" * 10 + "{1000}" * 4])
def test_a_regex_that_rust_cannot_be_trusted_with_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError) as caught:
        _core.RouteTable([("regex", pattern)])

    assert str(caught.value).startswith(f"regex {pattern!r} cannot be used here: ")
    assert "\n" not in str(caught.value)


def test_a_rule_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="a rule's kind must be 'exact', 'glob' or 'regex', got 'fuzzy'"):
        _core.RouteTable([("fuzzy", "a")])


def test_more_names_than_the_memo_holds_are_answered_alike() -> None:
    table = _core.RouteTable([("glob", "*7")])

    answers = [table.lookup(f"task{number}") for number in range(5_000)] * 2

    assert [answer == 0 for answer in answers] == [number % 10 == 7 for number in range(5_000)] * 2


NAMES = ["", "a", "b", "ab", "a.b", "a.b.c", "b.a", "a-b", "]", "a\nb", "é.a", "A", "^", "!", "[a]", "a\\"]
GLOB_PIECES = [
    "*",
    "?",
    "a",
    "b",
    ".",
    "[",
    "]",
    "[ab]",
    "[!a]",
    "[a-c]",
    "[^a]",
    "[]-a]",
    "[a-]",
    "[!]]",
    "-",
    "é",
    "\\",
    "**",
]
REGEX_PIECES = [
    "a",
    "b",
    r"\.",
    ".",
    ".*",
    "a+",
    "[ab]",
    "[^a]",
    "(a|b)",
    "(?:a|)",
    "b?",
    r"\w",
    r"\b",
    "^",
    "é",
    "a{1,2}",
    "(?i:A)",
    r"\Z",
]


# After an empty range, `re` takes a `!` for a negation that `fnmatch` did not mean as one.
QUIRK = re.compile(r"\[.-.!")


def random_rule(chance: random.Random) -> tuple[str, str]:
    match chance.randrange(3):
        case 0:
            return "exact", chance.choice(NAMES)
        case 1:
            pattern = "".join(chance.choices(GLOB_PIECES, k=chance.randrange(6)))
            return "glob", pattern.replace("!", "") if QUIRK.search(pattern) else pattern
        case _:
            return "regex", "".join(chance.choices(REGEX_PIECES, k=chance.randrange(5)))


# 100 seeds of 100 tables each: the 10,000 of the promise.
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_ten_thousand_tables_answer_as_the_oracle_does(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        rules = [random_rule(chance) for _ in range(chance.randrange(6))]
        try:
            table = _core.RouteTable(rules)
        except ValueError:
            assert any(kind == "regex" and r"\Z" in pattern for kind, pattern in rules)
            continue

        names = chance.choices(NAMES, k=6)

        assert [table.lookup(name) for name in names] == [oracle.lookup(rules, name) for name in names], (rules, names)


@given(st.lists(st.tuples(st.sampled_from(["glob", "regex"]), st.text(max_size=20)), max_size=4), st.text(max_size=30))
@settings(max_examples=500)
def test_any_text_as_a_pattern_is_answered(rules: list[tuple[str, str]], name: str) -> None:
    try:
        place = _core.RouteTable(rules).lookup(name)
    except ValueError:
        return
    assert place is None or place < len(rules)


@given(st.text("ab-]![?*é", max_size=8), st.text("ab-]![é", max_size=4))
@settings(max_examples=3_000)
def test_any_glob_means_what_fnmatch_means(pattern: str, name: str) -> None:
    place = _core.RouteTable([("glob", pattern)]).lookup(name)

    assert QUIRK.search(pattern) or place == oracle.lookup([("glob", pattern)], name)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("#", "", True),
        ("logs.#", "logs", True),
        ("logs.#", "logs.a.b", True),
        ("logs.*", "logs", False),
        ("*.error", "web.error", True),
        ("*", "", False),
        ("", "", True),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.b.c", False),
    ],
)
def test_a_star_is_one_word_and_a_hash_any_number(pattern: str, key: str, matches: bool) -> None:
    assert _core.topic_matches(pattern, key) is matches


WORDS = st.lists(st.sampled_from(["a", "b", "", "*", "#", "ab"]), max_size=6).map(".".join)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=20))
@settings(max_examples=300)
def test_topics_match_as_the_oracle_says(pairs: list[tuple[str, str]]) -> None:
    for pattern, key in pairs:
        assert _core.topic_matches(pattern, key) == oracle.topic_matches(pattern, key), (pattern, key)


def test_patterns_that_invite_backtracking_take_no_time() -> None:
    assert not _core.topic_matches("#.a." * 500 + "b", "a." * 500 + "a")
    assert _core.RouteTable([("glob", "*a" * 500), ("regex", "(a*)*b")]).lookup("a" * 499) is None
