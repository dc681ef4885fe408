"""The report of the benchmarks: what it says about figures it is given."""

import json

import pytest

from bench.charts import Bars, Lines, charts
from bench.marks import Span
from bench.report import Figure, Report, Round, Section, Summary, Terms, percentile, summarise, to_json
from bench.scenarios.long_among_short import longest_free_wait
from bench.tables import in_short, losses, markdown
from bench.tables import text as render

MS = 1_000_000


def test_a_summary_is_the_median_with_the_extremes() -> None:
    assert summarise([3.0, 1.0, 9.0]) == Summary(median=3.0, low=1.0, high=9.0, rounds=3)


def test_what_was_never_measured_has_no_summary() -> None:
    assert summarise([]) is None


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)


def test_a_row_shows_median_spread_and_ratio_to_the_first_contestant() -> None:
    text = render(
        report(Round("ours", {"rate": 1000.0}), Round("theirs", {"rate": 5.0}), Round("ours", {"rate": 3000.0}))
    )

    assert row(text, "ours") == "ours 2,000 (1,000–3,000)"
    assert row(text, "theirs") == "theirs 5 ×0.0025"


def test_a_failed_round_is_shown_and_leaves_the_others_their_figures() -> None:
    text = render(report(Round("ours", {"rate": 1000.0}), Round("ours", failure="the worker ended by itself")))

    assert row(text, "ours") == "ours 1,000"
    assert "ours: FAILED: the worker ended by itself" in text


def test_a_contestant_that_always_failed_has_a_dash() -> None:
    assert row(render(report(Round("ours", failure="broken"))), "ours") == "ours –"


def test_a_remark_that_repeats_is_shown_once() -> None:
    note = ("cut short after 20 s",)

    text = render(report(Round("ours", {"rate": 1.0}, note), Round("ours", {"rate": 2.0}, note)))

    assert text.count("ours: cut short after 20 s") == 1


def test_guarantees_and_versions_stand_beside_the_figures() -> None:
    text = render(report(Round("ours", {"rate": 1.0})))

    assert "versions         ours 1.0" in text
    assert "durability       survives a kill" in text
    assert "acknowledgement  early" in text
    assert "caveat           slow on Mondays" in text


def test_the_json_keeps_every_round_and_the_summary() -> None:
    document = json.loads(to_json(report(Round("ours", {"rate": 1.0}), Round("ours", {"rate": 3.0}))))

    section = document["sections"][0]
    assert [each["values"]["rate"] for each in section["rounds"]] == [1.0, 3.0]
    assert section["summary"] == {"ours": {"rate": {"median": 2.0, "low": 1.0, "high": 3.0, "rounds": 2}}}
    assert document["machine"] == {"processor": "a good one"}


def test_the_documentation_has_the_same_rows_and_a_chart() -> None:
    page = markdown(report(Round("ours", {"rate": 1000.0}), Round("theirs", {"rate": 5.0})), ["drain"])

    assert "| ours | 1,000 |" in page
    assert "| theirs | 5 ×0.005 |" in page
    assert "![drain](charts/drain.svg)" in page
    assert "| ours | ours 1.0 | survives a kill | early | slow on Mondays |" in page


def test_what_is_told_first_is_ours_beside_celery_and_the_best_other() -> None:
    rounds = [Round(name, {"rate": rate}) for name, rate in (("ours", 8.0), ("celery-x", 4.0), ("a", 5.0), ("b", 16.0))]

    assert in_short(report(*rounds), ["ours", "celery-x", "a", "b"]) == [
        ["", "ours", "celery-x", "the best other"],
        ["`drain`: tasks, /s", "8", "4 (2 ×)", "b 16.0 (0.5 ×)"],
    ]


def test_who_had_fewer_rounds_is_named() -> None:
    text = render(report(Round("a", {"rate": 1.0}), Round("b", {"rate": 2.0}), Round("a", {"rate": 2.0})))

    assert "of 2 rounds (1 of b)" in text


def test_where_somebody_else_is_better_is_said() -> None:
    rounds = (Round("celery-rs-redis", {"rate": 3.0}), Round("a", {"rate": 4.0}), Round("b", {"rate": 5.0}))

    assert losses(report(*rounds)) == [("drain", "celery-rs-redis", "3 /s", ["b 5", "a 4"])]


def test_another_one_of_ours_that_is_better_is_no_loss() -> None:
    rounds = (Round("celery-rs-redis", {"rate": 3.0}), Round("celery-rs-sqlite", {"rate": 5.0}), Round("a", {}))

    assert losses(report(*rounds)) == []


def test_a_chart_has_the_first_figure_of_everybody_and_the_best_on_top() -> None:
    (chart,) = charts(report(Round("a", {"rate": 1.0}), Round("b", {"rate": 2.0}), Round("c", failure="broken")))

    assert isinstance(chart, Bars)
    assert [name for name, _ in chart.rows] == ["b", "a"]
    assert (chart.name, chart.unit) == ("drain", "tasks, /s (more is better)")


def test_a_single_bar_is_no_chart() -> None:
    assert charts(report(Round("a", {"rate": 1.0}))) == []


def test_figures_at_points_are_a_line_for_each_contestant() -> None:
    figures = tuple(Figure(f"rate@{at}", f"{at}", "/s", "higher", at=at) for at in (1, 10))
    section = Section("scale", "as fast?", False, 100, figures, (Round("a", {"rate@1": 5.0}),), axis="queues")

    (chart,) = charts(Report({}, {}, (section,)))

    assert isinstance(chart, Lines)
    assert chart.axis == "queues"
    assert chart.lines == (("a", ((1, Summary(5.0, 5.0, 5.0, 1)),)),)


def test_a_short_call_that_runs_at_once_beside_the_long_one_has_not_waited() -> None:
    busy = [Span(0, 1000 * MS)]
    free = [Span(start * MS, (start + 1) * MS) for start in range(1000)]

    assert longest_free_wait([busy, free], long=1000 * MS) == 0


def test_a_short_call_kept_behind_the_long_one_has_waited_since_the_other_process_was_free() -> None:
    busy = [Span(0, 1000 * MS), Span(1000 * MS, 1001 * MS)]
    free = [Span(0, 1 * MS)]

    assert longest_free_wait([busy, free], long=1000 * MS) == 999 * MS


def test_a_process_that_never_ran_anything_was_free_all_along() -> None:
    assert longest_free_wait([[Span(0, 1 * MS), Span(400 * MS, 401 * MS)], []], long=1000 * MS) == 400 * MS


def test_after_the_last_short_call_has_started_nobody_waits() -> None:
    busy = [Span(0, 1000 * MS)]
    free = [Span(0, 1 * MS)]

    assert longest_free_wait([busy, free], long=1000 * MS) == 0


def report(*rounds: Round) -> Report:
    """A report with one scenario of one figure."""
    figures = (Figure("rate", "tasks", "/s", "higher"),)
    terms = Terms({"ours": "1.0"}, "survives a kill", "early", "slow on Mondays")
    section = Section("drain", "how fast?", False, 100, figures, rounds)
    return Report({"processor": "a good one"}, {"ours": terms}, (section,))


def row(text: str, contestant: str) -> str:
    """The contestant's row of the table, with single spaces."""
    table = text[text.index("drain: how fast?") :]
    return next(" ".join(line.split()) for line in table.splitlines() if line.split()[:1] == [contestant])
