"""How the benchmarks run: whose turn it is, what is kept, what is not asked again, what is left."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bench import record
from bench.contestants import CONTESTANTS, Contestant, ContestantError
from bench.plan import PLANS, Entry, Turn, turns
from bench.progress import Progress, in_words, seconds_left
from bench.record import RecordError
from bench.report import Figure, Report, Round, Section, Terms
from bench.run import Run
from bench.scenarios import SCENARIOS, Effort, Measured, Scenario, Stage
from bench.scenarios.rate_limited import counts

FIGURES = (Figure("rate", "tasks", "/s", "higher"),)
MACHINE = {"processor": "a good one", "memory": "1 GiB", "system": "Linux", "directory": "on ext4", "source": "abc"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two contestants, `one` and `two`, a scenario `ask`, and who was asked so far."""
    said: list[str] = []
    numbers = count(1)

    def run(stage: Stage) -> Measured:
        said.append(stage.contestant.name)
        return Measured({"rate": float(next(numbers))})

    monkeypatch.setitem(SCENARIOS, "ask", Scenario("ask", "how?", 10, (False,), FIGURES, run))
    for name in ("one", "two"):
        monkeypatch.setitem(CONTESTANTS, name, contestant(name))
    return said


def test_contestants_take_turns_and_every_second_round_goes_backwards() -> None:
    order = [turn.contestant for turn in turns([(["a", "b", "c"], [], 3)])]

    assert "".join(order) == "abccbaabc"


def test_the_second_round_begins_when_all_have_had_the_first() -> None:
    order = [(turn.section, turn.contestant) for turn in turns([(["a"], ["z"], 2), (["b"], [], 1), (["c"], [], 2)])]

    assert order == [(0, "a"), (0, "z"), (1, "b"), (2, "c"), (0, "a"), (2, "c")]


def test_when_the_time_is_over_no_round_is_begun(asked: list[str], tmp_path: Path) -> None:
    run_of(tmp_path).go(lambda report: None, seconds=-1)

    assert asked == []


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_asks_known_scenarios_of_known_contestants(name: str) -> None:
    for entry in PLANS[name].entries:
        assert entry.scenario in SCENARIOS
        assert set(entry.contestants) <= CONTESTANTS.keys()
        assert len(set(entry.contestants)) == len(entry.contestants)


def test_the_report_is_handed_out_after_each_round(asked: list[str], tmp_path: Path) -> None:
    kept: list[int] = []

    run_of(tmp_path).go(lambda report: kept.append(len(report.sections[0].rounds)))

    assert asked == ["one", "two", "two", "one"]
    assert kept == [1, 2, 3, 4]


def test_rounds_that_are_there_are_not_asked_again(asked: list[str], tmp_path: Path) -> None:
    first = run_of(tmp_path)
    stop_after(first, rounds=3)
    before = list(asked)

    second = run_of(tmp_path)
    second.report = record.gone_on(second.report, first.report)
    second.go(lambda report: None)

    assert before == ["one", "two", "two"]
    assert asked[3:] == ["one"]
    assert [(each.contestant, each.turn) for each in second.report.sections[0].rounds] == [
        ("one", 0),
        ("two", 0),
        ("two", 1),
        ("one", 1),
    ]


def test_what_is_asked_otherwise_is_asked_anew(asked: list[str], tmp_path: Path) -> None:
    first, second = run_of(tmp_path), run_of(tmp_path, tasks=20)
    first.go(lambda report: None)

    assert record.gone_on(second.report, first.report).sections[0].rounds == ()


def test_a_failed_round_is_asked_again() -> None:
    before = report(Round("one", {"rate": 1.0}), Round("two", failure="broken"))

    assert [each.contestant for each in record.gone_on(report(), before).sections[0].rounds] == ["one"]


def test_figures_of_two_machines_do_not_meet_in_one_report() -> None:
    other = replace(report(), machine={**MACHINE, "processor": "a slow one"})

    with pytest.raises(RecordError, match="another machine \\(processor 'a slow one', here 'a good one'\\)"):
        record.gone_on(report(), other)


def test_a_report_of_two_sources_names_both() -> None:
    other = replace(report(), machine={**MACHINE, "source": "xyz"})

    assert record.gone_on(report(), other).machine["source"] == "xyz and abc"


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = replace(report(Round("one", {"rate": 1.0}, ("cut short",), turn=2)), missing={"two": "install it"})

    record.save(tmp_path / "run.json", written)

    assert record.load(tmp_path / "run.json") == written
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_reports_of_older_versions_are_read() -> None:
    assert record.load(Path(__file__).parents[2] / "docs/benchmarks/postgresql-results.json").sections


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"machine": {}, "terms": {}, "sections": [{}]}'])
def test_another_file_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content)

    with pytest.raises(RecordError, match=r"other\.json: expected a report of these benchmarks"):
        record.load(tmp_path / "other.json")


def test_a_missing_contestant_is_named_and_the_others_run(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> None:
        raise ContestantError("pip install two")

    monkeypatch.setitem(CONTESTANTS, "two", replace(contestant("two"), prepare=prepare))

    run = run_of(tmp_path)
    run.go(lambda report: None)

    assert asked == ["one", "one"]
    assert run.report.missing == {"two": "pip install two"}


def test_who_lacks_what_is_needed_gets_a_line_and_no_failure(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCENARIOS, "ask", replace(SCENARIOS["ask"], needs=frozenset({"rate_limit"})))
    monkeypatch.setitem(CONTESTANTS, "two", replace(contestant("two"), lacks={"rate_limit": "it never waits"}))

    run = run_of(tmp_path)
    run.go(lambda report: None)

    assert asked == ["one", "one"]
    assert run.report.sections[0].remarks() == ["two: not asked, it has no rate limit: it never waits"]


def test_what_is_left_is_told_from_what_turns_took() -> None:
    todo = [Turn(0, "one", 1), Turn(0, "two", 1), Turn(1, "one", 0)]

    assert seconds_left(todo, {(0, "one"): 10.0, (0, "two"): 2.0}) == 10 + 2 + 6


def test_who_has_had_no_turn_takes_what_the_others_took() -> None:
    assert seconds_left([Turn(0, "three", 0)], {(0, "one"): 10.0, (0, "two"): 2.0, (1, "one"): 90.0}) == 6


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min")])
def test_time_is_told_roughly(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_where_lines_stay_there_is_no_bar() -> None:
    out = io.StringIO()
    progress = Progress(out)

    progress.running(1, 4, 30.0, "drain")
    progress.say("drain: done")

    assert out.getvalue() == "[bench] drain: done\n"


def test_a_terminal_has_a_bar_that_gives_way_to_lines() -> None:
    out = Terminal()
    progress = Progress(out)

    progress.running(2, 4, 30.0, "drain")
    progress.say("drain: done")

    bar, line = out.getvalue().split("\r\033[K")[1:]
    assert bar == "████████████░░░░░░░░░░░░ 2/4, about 30 s left: drain"
    assert line == "[bench] drain: done\n"


def test_only_whole_windows_count() -> None:
    assert counts([0, 1, 9, 10, 25, 31], window=10) == [3, 1, 1]


def test_nothing_has_no_windows() -> None:
    assert counts([], window=10) == []


def contestant(name: str) -> Contestant:
    """One that needs nothing but this interpreter."""
    return Contestant(
        name=name,
        package="json",
        python=Path(sys.executable),
        settings=lambda place, results: {},
        libraries=(),
        durability="none",
        acknowledgement="none",
    )


def run_of(place: Path, tasks: int = 10) -> Run:
    """Two rounds of both."""
    entry = Entry("ask", ("one", "two"), repeat=2, effort=Effort(tasks))
    return Run([entry], "python -m bench ask", place, Progress(io.StringIO()))


def stop_after(run: Run, rounds: int) -> None:
    """Break off as Ctrl-C does."""
    with pytest.raises(KeyboardInterrupt):
        run.go(interrupting(rounds))


def interrupting(rounds: int) -> Callable[[Report], None]:
    """What interrupts when it has been called that often."""
    calls: Iterator[int] = count(1)

    def keep(report: Report) -> None:
        if next(calls) == rounds:
            raise KeyboardInterrupt

    return keep


def report(*rounds: Round) -> Report:
    """A report of one section."""
    section = Section("ask", "how?", False, 10, FIGURES, rounds, limit=10.0)
    return Report(MACHINE, {"one": Terms({"one": "1.0"}, "none", "none")}, (section,), "python -m bench ask")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True
