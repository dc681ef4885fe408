"""A report as tables: text for a terminal, Markdown for the documentation. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import inf

from bench.report import Figure, Report, Section, Summary

HEADLINES = (
    ("delay", "rate"),
    ("delay", "cpu"),
    ("bulk", "rate"),
    ("drain", "rate"),
    ("drain", "cpu"),
    ("drain_stored", "rate"),
    ("collected", "rate"),
    ("round_trip", "busy_p50"),
    ("round_trip", "busy_p99"),
    ("start", "first"),
    ("idle", "pss"),
)
"""Section and figure of what is told first."""


def text(report: Report) -> str:
    """For a terminal."""
    lines = ["Machine", *(f"  {name:<11} {said}" for name, said in report.machine.items()), "", "Contestants"]
    for name, terms in report.terms.items():
        lines += [
            f"  {name}",
            f"    versions         {_versions(terms.versions)}",
            f"    durability       {terms.durability}",
            f"    acknowledgement  {terms.acknowledgement}",
            *([f"    caveat           {terms.caveat}"] if terms.caveat else []),
        ]
    lines += [f"  {name}\n    missing          {why}" for name, why in report.missing.items()]
    for section in report.sections:
        head, *rows = cells(section)
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        lines += ["", f"{section.name}: {section.question}", f"  {conditions(section)}"]
        lines += [
            "  "
            + row[0].ljust(widths[0])
            + "".join(f"  {cell.rjust(wide)}" for cell, wide in zip(row[1:], widths[1:], strict=True))
            for row in (head, *rows)
        ]
        lines += [f"  {remark}" for remark in section.remarks()]
    return "\n".join(lines)


def markdown(
    report: Report,
    charts: Sequence[str] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    method: str = "index.md",
) -> str:
    """For the documentation; `charts` are the names of the sections that have one, `method` is the page on the method.

    `groups` are contestants that share a kind of broker: of each, the first is ours and set beside the others in short.
    """
    blocks = [
        "# The figures of the last run",
        f"Made by `{report.command}`; how, and what the words mean: [Benchmarks]({method}).",
        *_in_short(report, groups),
        "## Where celery-rs is not the best",
        _losses(report),
        "## Machine",
        table([["", ""], *([name, said] for name, said in report.machine.items())]),
        "## Contestants",
        "What a figure is worth depends on what is promised for it.",
        table(
            [
                ["", "versions", "durability", "acknowledgement", "besides"],
                *(
                    [name, _versions(terms.versions), terms.durability, terms.acknowledgement, terms.caveat]
                    for name, terms in report.terms.items()
                ),
                *([name, "not installed", why, "", ""] for name, why in report.missing.items()),
            ]
        ),
    ]
    for section in report.sections:
        question = section.question[0].upper() + section.question[1:]
        blocks += [f"## {section.name}", f"{question}\n\n{conditions(section)}."]
        if section.name in charts:
            blocks.append(f"![{section.name}](charts/{section.name}.svg)")
        blocks.append(table(cells(section)))
        if remarks := section.remarks():
            blocks.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(blocks) + "\n"


def in_short(report: Report, group: Sequence[str]) -> list[list[str]]:
    """The first of a group beside Celery and the best of the others in it, and the ratios; head and rows."""
    ours, *others = group
    celery = [name for name in others if name.startswith("celery")]
    rows = [["", ours, *celery[:1], "the best other"]]
    for section in report.sections:
        for figure in section.figures:
            mine = section.summary(ours, figure)
            if (section.name, figure.key) not in HEADLINES or mine is None or not mine.median:
                continue
            peers = [(seen, name) for name in others if name not in celery and (seen := section.summary(name, figure))]
            best = (max if figure.better == "higher" else min)(peers, key=lambda peer: peer[0].median, default=None)
            compared = [section.summary(name, figure) for name in celery[:1]]
            rows.append(
                [
                    f"`{section.name}`: {figure.heading}",
                    number(mine.median),
                    *("–" if seen is None else _beside(mine, seen, figure) for seen in compared),
                    "–" if best is None else f"{best[1]} {_beside(mine, best[0], figure)}",
                ]
            )
    return rows


def losses(report: Report) -> list[tuple[str, str, str, list[str]]]:
    """Whom somebody else beats in what is charted: the section, which of ours, its figure, the others and theirs."""
    found = []
    for section in report.sections:
        figure = section.figures[0]
        seen = {name: summary for name in section.contestants if (summary := section.summary(name, figure))}
        sign = 1 if figure.better == "higher" else -1
        for name in filter(_is_ours, seen):
            ahead = [each for each in seen if not _is_ours(each) and sign * (seen[each].median - seen[name].median) > 0]
            if ahead:
                best_first = sorted(ahead, key=lambda each: -sign * seen[each].median)
                said = [f"{each} {number(seen[each].median)}" for each in best_first]
                found.append((section.name, name, f"{number(seen[name].median)} {figure.unit}".rstrip(), said))
    return found


def conditions(section: Section) -> str:
    """Under which it was asked, and how to read the row of a contestant."""
    first = next(iter(section.contestants), "none")
    said = [
        f"{section.tasks:,} tasks" if section.tasks is not None else "",
        f"cut short after {section.limit:g} s" if section.limit is not None else "",
        "results stored" if section.results else "results off",
        f"median (lowest–highest) of {_rounds(section)}; × is the ratio to {first}",
    ]
    return ", ".join(filter(None, said))


def cells(section: Section) -> list[list[str]]:
    """The head and a row for each contestant. Figures that nobody has are left out."""
    measured = [
        figure for figure in section.figures if any(section.summary(name, figure) for name in section.contestants)
    ]
    shown = measured or section.figures[:1]
    first = next(iter(section.contestants), None)
    rows = [["", *(figure.heading for figure in shown)]]
    for name in section.contestants:
        row = [name]
        for figure in shown:
            base = section.summary(first, figure) if first not in (None, name) else None
            row.append(_cell(section.summary(name, figure), base if figure.unit else None))
        rows.append(row)
    return rows


def number(value: float) -> str:
    """Three digits are all that such measurements bear."""
    if abs(value) >= 100 or (float(value).is_integer() and abs(value) < 10):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _rounds(section: Section) -> str:
    """How many there were, and who had fewer."""
    counts = Counter(each.contestant for each in section.rounds if not each.failure)
    most = max(counts.values(), default=0)
    fewer: dict[int, list[str]] = {}
    for name, rounds in counts.items():
        if rounds < most:
            fewer.setdefault(rounds, []).append(name)
    said = [f"{rounds} of {', '.join(names)}" for rounds, names in fewer.items()]
    return f"{most} rounds ({'; '.join(said)})" if said else f"{most} round{'s' if most != 1 else ''}"


def _is_ours(contestant: str) -> bool:
    return contestant.startswith("celery-rs")


def _in_short(report: Report, groups: Mapping[str, Sequence[str]] | None) -> list[str]:
    blocks = []
    for title, group in (groups or {}).items():
        rows = in_short(report, group)
        if len(rows) > 1:
            blocks += [f"### {title}", table(rows)]
    if not blocks:
        return []
    return ["## In short", "Medians; in brackets, how many times better celery-rs is (below 1: worse).", *blocks]


def times_better(mine: Summary, theirs: Summary, figure: Figure) -> float:
    """How many times; below 1, it is worse."""
    better, worse = (mine, theirs) if figure.better == "higher" else (theirs, mine)
    return better.median / worse.median if worse.median else inf


def _beside(mine: Summary, theirs: Summary, figure: Figure) -> str:
    """Their median, and how many times better ours is."""
    return f"{number(theirs.median)} ({ratio(times_better(mine, theirs, figure))} ×)"


def _losses(report: Report) -> str:
    rows = [[where, name, figure, ", ".join(others)] for where, name, figure, others in losses(report)]
    if not rows:
        return "Nobody has a better median in what is charted below."
    return table([["", "", "median", "better medians"], *rows])


def _cell(summary: Summary | None, base: Summary | None) -> str:
    if summary is None:
        return "–"
    said = number(summary.median)
    if summary.low != summary.high:
        said += f" ({number(summary.low)}–{number(summary.high)})"
    if base is not None and base.median > 0 and summary.median > 0:
        said += f" ×{ratio(summary.median / base.median)}"
    return said


def ratio(value: float) -> str:
    """Two digits, or whole."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{what} {version}" for what, version in versions.items())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Head and rows, in Markdown."""

    def lines() -> Iterator[str]:
        for at, row in enumerate(rows):
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
            if at == 0:
                yield "|" + "---|" * len(row)

    return "\n".join(lines())
