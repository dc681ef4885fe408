"""A report as tables: text for a terminal, Markdown for the documentation. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from bench.report import Report, Section, Summary


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


def markdown(report: Report, charts: Sequence[str] = ()) -> str:
    """For the documentation; `charts` are the names of the sections that have one."""
    blocks = [
        "# The figures of the last run",
        f"Made by `{report.command}`; how, and what the words mean: [Benchmarks](index.md).",
        "## Machine",
        _table([["", ""], *([name, said] for name, said in report.machine.items())]),
        "## Contestants",
        "What a figure is worth depends on what is promised for it.",
        _table(
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
        blocks.append(_table(cells(section)))
        if remarks := section.remarks():
            blocks.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(blocks) + "\n"


def conditions(section: Section) -> str:
    """Under which it was asked, and how to read the row of a contestant."""
    rounds = max((sum(each.contestant == name for each in section.rounds) for name in section.contestants), default=0)
    first = next(iter(section.contestants), "none")
    said = [
        f"{section.tasks:,} tasks" if section.tasks is not None else "",
        f"cut short after {section.limit:g} s" if section.limit is not None else "",
        "results stored" if section.results else "results off",
        f"median (lowest–highest) of {rounds}; × is the ratio to {first}",
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


def _cell(summary: Summary | None, base: Summary | None) -> str:
    if summary is None:
        return "–"
    said = number(summary.median)
    if summary.low != summary.high:
        said += f" ({number(summary.low)}–{number(summary.high)})"
    if base is not None and base.median > 0 and summary.median > 0:
        said += f" ×{_ratio(summary.median / base.median)}"
    return said


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{what} {version}" for what, version in versions.items())


def _table(rows: Sequence[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        for at, row in enumerate(rows):
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
            if at == 0:
                yield "|" + "---|" * len(row)

    return "\n".join(lines())
