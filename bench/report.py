"""What was measured: rounds, medians with spread, and the JSON that keeps all of it. Pure.

Nothing is judged here: no figure passes or fails, and a figure never stands without what its contestant promises.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Figure:
    """One column of a scenario's table."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    at: float | None = None
    """The point of the section's axis that it was measured at."""

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
    turn: int = 0
    """Which of the repetitions it belongs to, from 0."""
    seconds: float = 0.0
    """How long it took, with everything around what was measured."""


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario under one setting of results, all contestants and rounds."""

    scenario: str
    question: str
    results: bool
    tasks: int | None
    figures: tuple[Figure, ...]
    rounds: tuple[Round, ...] = ()
    limit: float | None = None
    """Seconds after which a stretch of work was cut short."""
    axis: str = ""
    """What the points of its figures are, where they have any."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Contestants that cannot take part, and why."""

    @property
    def name(self) -> str:
        """The scenario, and whether results were stored where that is no matter of course."""
        return f"{self.scenario}_stored" if self.results and self.scenario.startswith("drain") else self.scenario

    @property
    def contestants(self) -> list[str]:
        """Their names in the order of their first round."""
        return list(dict.fromkeys(each.contestant for each in self.rounds))

    def summary(self, contestant: str, figure: Figure) -> Summary | None:
        """The figure over the contestant's rounds; None when it was never measured."""
        rounds = (each for each in self.rounds if each.contestant == contestant)
        return summarise([each.values[figure.key] for each in rounds if figure.key in each.values])

    def remarks(self) -> list[str]:
        """Notes, failures and absences, each once, under its contestant's name."""
        said = (
            f"{each.contestant}: {text}"
            for each in self.rounds
            for text in (*each.notes, *([f"FAILED: {each.failure}"] if each.failure else []))
        )
        absent = (f"{name}: not asked, {why}" for name, why in self.lacking.items())
        return list(dict.fromkeys((*said, *absent)))


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run of the benchmarks."""

    machine: Mapping[str, str]
    terms: Mapping[str, Terms]
    sections: tuple[Section, ...]
    command: str = ""
    """What makes it."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Contestants that are not installed, and how to install them."""


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


def from_json(text: str) -> Report:
    """The report that `to_json` wrote. Raises ValueError for anything else."""
    try:
        document = json.loads(text)
        return Report(
            **{
                **document,
                "terms": {name: Terms(**terms) for name, terms in document["terms"].items()},
                "sections": tuple(_section(section) for section in document["sections"]),
            }
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected a report of these benchmarks ({type(error).__name__}: {error})") from error


def _section(document: dict[str, Any]) -> Section:
    figures = tuple(Figure(**figure) for figure in document["figures"])
    rounds = tuple(Round(**{**each, "notes": tuple(each["notes"])}) for each in document["rounds"])
    rest = {key: value for key, value in document.items() if key != "summary"}
    return Section(**{**rest, "figures": figures, "rounds": rounds})
