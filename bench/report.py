"""What the figures say: medians with spread, as a table for people and as JSON for programs. Pure.

Nothing is judged here: no figure passes or fails, and a figure never stands without what its contestant promises.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of a scenario's table."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"]

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


class Summary(NamedTuple):
    """Repeated measurements of one figure."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contestant's figures are worth."""

    versions: Mapping[str, str]
    durability: str
    acknowledgement: str
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one contestant. A run that failed has no values and says why in `failure`."""

    contestant: str
    values: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario under one setting of results, all contestants and rounds."""

    scenario: str
    question: str
    results: bool
    tasks: int | None
    figures: tuple[Figure, ...]
    rounds: tuple[Round, ...]

    @property
    def contestants(self) -> list[str]:
        """Their names in the order of their first round."""
        return list(dict.fromkeys(each.contestant for each in self.rounds))

    def summary(self, contestant: str, figure: Figure) -> Summary | None:
        """The figure over the contestant's rounds; None when it was never measured."""
        rounds = (each for each in self.rounds if each.contestant == contestant)
        return summarise([each.values[figure.key] for each in rounds if figure.key in each.values])

    def remarks(self) -> list[str]:
        """Notes and failures, each once, under its contestant's name."""
        said = (
            f"{each.contestant}: {text}"
            for each in self.rounds
            for text in (*each.notes, *([f"FAILED: {each.failure}"] if each.failure else []))
        )
        return list(dict.fromkeys(said))


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run of the benchmarks."""

    machine: Mapping[str, str]
    terms: Mapping[str, Terms]
    sections: tuple[Section, ...]


def summarise(values: Sequence[float]) -> Summary | None:
    """Median and extremes."""
    return Summary(median(values), min(values), max(values), len(values)) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("expected at least one value, got none")
    rank = -(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def render(report: Report) -> str:
    """The report as text."""
    lines = ["Machine"]
    lines += [f"  {name:<11} {text}" for name, text in report.machine.items()]
    lines += ["", "Contestants"]
    for name, terms in report.terms.items():
        lines += [
            f"  {name}",
            f"    versions         {', '.join(f'{what} {version}' for what, version in terms.versions.items())}",
            f"    durability       {terms.durability}",
            f"    acknowledgement  {terms.acknowledgement}",
            *([f"    caveat           {terms.caveat}"] if terms.caveat else []),
        ]
    for section in report.sections:
        lines += ["", *_render_section(section)]
    return "\n".join(lines)


def to_json(report: Report) -> str:
    """The report with every single round, as one JSON document."""
    document = asdict(report)
    for section, shown in zip(report.sections, document["sections"], strict=True):
        shown["summary"] = {
            name: {
                figure.key: summary._asdict()
                for figure in section.figures
                if (summary := section.summary(name, figure)) is not None
            }
            for name in section.contestants
        }
    return json.dumps(document, indent=2)


def _render_section(section: Section) -> list[str]:
    stored = "results stored" if section.results else "results off"
    size = "" if section.tasks is None else f"{section.tasks:,} tasks, "
    first = section.contestants[0] if section.contestants else None
    head = ["", *(figure.heading for figure in section.figures)]
    rows = []
    for name in section.contestants:
        cells = [name]
        for figure in section.figures:
            summary = section.summary(name, figure)
            base = section.summary(first, figure) if first not in (None, name) else None
            cells.append(_cell(summary, base))
        rows.append(cells)
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    table = [
        "  "
        + row[0].ljust(widths[0])
        + "".join(f"  {cell.rjust(wide)}" for cell, wide in zip(row[1:], widths[1:], strict=True))
        for row in (head, *rows)
    ]
    rounds = max((sum(each.contestant == name for each in section.rounds) for name in section.contestants), default=0)
    return [
        f"{section.scenario}: {section.question}",
        f"  {size}{stored}; median (lowest–highest) of {rounds}; × is the ratio to {first}",
        *table,
        *(f"  {remark}" for remark in section.remarks()),
    ]


def _cell(summary: Summary | None, base: Summary | None) -> str:
    if summary is None:
        return "–"
    text = _number(summary.median)
    if summary.rounds > 1:
        text += f" ({_number(summary.low)}–{_number(summary.high)})"
    if base is not None and base.median:
        text += f" ×{_ratio(summary.median / base.median)}"
    return text


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _number(value: float) -> str:
    """Three digits are all that such measurements bear."""
    if abs(value) >= 100 or (float(value).is_integer() and abs(value) < 10):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
