"""What a report's charts show. Pure; `bench.drawing` draws it."""

from dataclasses import dataclass

from bench.report import Figure, Report, Section, Summary


@dataclass(frozen=True, slots=True)
class Bars:
    """One figure of a section, a bar for each contestant, the best on top."""

    name: str
    title: str
    unit: str
    rows: tuple[tuple[str, Summary], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """One figure over the points of a section's axis, a line for each contestant."""

    name: str
    title: str
    unit: str
    axis: str
    lines: tuple[tuple[str, tuple[tuple[float, Summary], ...]], ...]


def charts(report: Report) -> list[Bars | Lines]:
    """A chart of each section that has anything to compare."""
    made = [_lines(section) if section.axis else _bars(section) for section in report.sections]
    return [chart for chart in made if chart is not None]


def _bars(section: Section) -> Bars | None:
    """Of its first figure."""
    figure = section.figures[0]
    rows = [(name, summary) for name in section.contestants if (summary := section.summary(name, figure)) is not None]
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: row[1].median, reverse=figure.better == "higher")
    return Bars(section.name, _title(section), _unit(figure), tuple(rows))


def _lines(section: Section) -> Lines | None:
    """Of the figures that say at which point they were measured."""
    placed = [(figure.at, figure) for figure in section.figures if figure.at is not None]
    lines = [
        (name, points)
        for name in section.contestants
        if (points := tuple((at, seen) for at, figure in placed if (seen := section.summary(name, figure)) is not None))
    ]
    if not lines:
        return None
    return Lines(section.name, _title(section), f"tasks {placed[0][1].unit}", section.axis, tuple(lines))


def _title(section: Section) -> str:
    question = section.question[0].upper() + section.question[1:]
    return f"{question}\n{'results stored' if section.results else 'results off'}"


def _unit(figure: Figure) -> str:
    better = "more is better" if figure.better == "higher" else "less is better"
    return f"{figure.heading} ({better})"
