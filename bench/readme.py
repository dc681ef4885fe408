"""The table of figures in README.md and README.zh.md, made from the report: `python -m bench.readme` writes it there.

A figure that stands in two places is right in both only if one is made from the other.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import record
from bench.contestants import SETS
from bench.report import Report
from bench.tables import HEADLINES, number, ratio, table, times_better

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs/benchmarks/report.json"
_PLACE = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- /figures -->)", re.DOTALL)


class Language(NamedTuple):
    """How one README says it; a row for each of `bench.tables.HEADLINES`."""

    path: Path
    beside_celery: str
    beside_best: str
    rows: Sequence[str]


GROUPS = {"Redis": SETS["redis"], "RabbitMQ": SETS["rabbitmq"], "SQLite": SETS["embedded"]}
"""Ours first, and those it is set beside."""
LANGUAGES = (
    Language(
        ROOT / "README.md",
        "× Celery",
        "× the best other",
        (
            "`delay()`, one producer, /s",
            "CPU of a `delay()`, µs",
            "`publish_many`, tasks/s",
            "drain, results off, tasks/s",
            "CPU of its worker for a task, µs",
            "drain, results stored, tasks/s",
            "sent and collected by one client, /s",
            "`delay().get()`, idle worker, p50, ms",
            "the same, p99, ms",
            "from start to first task, ms",
            "idle worker, PSS, MiB",
        ),
    ),
    Language(
        ROOT / "README.zh.md",
        "与 Celery 之比",
        "与其余最好者之比",
        (
            "`delay()`，一个生产者，次/秒",
            "一次 `delay()` 的 CPU 时间，µs",
            "`publish_many`，个/秒",
            "处理任务，不存结果，个/秒",
            "其中每个任务 worker 的 CPU 时间，µs",
            "处理任务，存结果，个/秒",
            "一个客户端发送并取回结果，个/秒",
            "`delay().get()`，空闲 worker，p50，ms",
            "同上，p99，ms",
            "从启动到第一个任务，ms",
            "空闲 worker 的内存（PSS），MiB",
        ),
    ),
)


def figures(report: Report, language: Language) -> str:
    """Medians of ours, and how many times better they are than Celery's and than the best of the others'."""
    asked = {name for section in report.sections for name in section.contestants}
    columns = []
    for title, (ours, *others) in GROUPS.items():
        there = [name for name in others if name in asked]
        celery = [name for name in there if name.startswith("celery")]
        columns.append([title, *(_told(report, row, [ours]) for row in HEADLINES)])
        for beside, names in ((language.beside_celery, celery), (language.beside_best, [*{*there} - {*celery}])):
            if names:
                columns.append([beside, *(_told(report, row, [ours, *names]) for row in HEADLINES)])
    return table([*zip(["", *language.rows], *columns, strict=True)]) + "\n"


def _told(report: Report, row: tuple[str, str], names: Sequence[str]) -> str:
    """The median of one of ours; or, where there are others, how many times better it is than the best of them."""
    section = next(section for section in report.sections if section.name == row[0])
    figure = next(figure for figure in section.figures if figure.key == row[1])
    ours, *others = names
    mine = section.summary(ours, figure)
    if mine is None:
        return "–"
    if not others:
        return number(mine.median)
    seen = {name: times_better(mine, each, figure) for name in others if (each := section.summary(name, figure))}
    if not seen:
        return "–"
    best = min(seen, key=seen.__getitem__)
    return ratio(seen[best]) if best.startswith("celery") else f"{ratio(seen[best])} ({best})"


def main() -> int:
    """Write the tables of both languages."""
    report = record.load(REPORT)
    for language in LANGUAGES:
        text = language.path.read_text()
        language.path.write_text(_PLACE.sub(lambda _, told=figures(report, language): told, text))  # type: ignore[misc]
    return 0


if __name__ == "__main__":
    sys.exit(main())
