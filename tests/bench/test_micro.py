"""The table of small measurements: everybody says the same; no figure is looked at."""

import pytest

from bench.micro.__main__ import chosen
from bench.micro.case import Case, Here, Way, compare
from bench.micro.cases import cases
from bench.micro.celery_side import PYTHON, CelerySide, There


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_all_ways_of_a_case_say_the_same(case: Case):
    first, *others = [Here(way, case.calls).value() for way in case.ways]

    assert others == [first] * len(others)


@pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON.parents[1].name} is not there: run `make test`")
def test_celery_says_the_same():
    known = {case.name: case for case in cases()}
    side = CelerySide()

    try:
        said = {name: There(side, name).value() for name in side.ways}
        assert said == {name: Here(known[name].ways[0], known[name].calls).value() for name in said}
        assert There(side, "make an id").nanoseconds(0.0001) > 0
    finally:
        side.close()


def test_ways_that_disagree_are_not_timed():
    ways = [Way("Rust", lambda: 1), Way("oracle", lambda: 2)]

    with pytest.raises(ValueError, match="oracle says 2, Rust says 1"):
        compare([Here(way, 1) for way in ways], repeat=1, seconds=0.0001)


def test_ratios_are_to_the_first_way():
    figures = compare([Here(Way(by, lambda: 1), 1) for by in "ab"], repeat=3, seconds=0.0001)

    assert [figure.by for figure in figures] == ["a", "b"]
    assert figures[0].ratio == 1


def test_cases_are_chosen_by_a_part_of_their_name_or_a_glob():
    assert [case.name for case in chosen(["topic"])] == ["match a topic"]
    assert [case.name for case in chosen(["route by*"])] == ["route by 3 rules", "route by 1,000 globs"]


def test_a_name_that_is_none_is_told():
    with pytest.raises(ValueError, match="no case 'nonsense'"):
        chosen(["nonsense"])
