"""`python -m bench`: measure celery-rs beside other task queues, or make the tables of a run again."""

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from math import inf
from pathlib import Path
from types import FrameType

from bench import record, tables
from bench.charts import charts
from bench.contestants import CONTESTANTS, DEFAULT, ROOT, SETS, chosen
from bench.plan import PLANS, Entry
from bench.progress import Progress
from bench.record import RecordError
from bench.report import Report
from bench.run import Run
from bench.scenarios import SCENARIOS, Effort

Number = Callable[[str], float]
_RENDER = "render"
_GROUPS = {
    f"On {name}": SETS[key] for name, key in (("Redis", "redis"), ("RabbitMQ", "rabbitmq"), ("SQLite", "embedded"))
}
_METHOD = ROOT / "docs" / "benchmarks" / "index.md"
_NO_CHARTS = "matplotlib is not there: run `.venv/bin/python -m pip install --group bench`"


def _more_than_zero(kind: type[int] | type[float]) -> Number:
    def number(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"expected a number above zero, got {text!r}")
        return value

    return number


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    plans = "; ".join(f"{name}: {plan.purpose}, about {plan.minutes:g} minutes" for name, plan in PLANS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Throughput, latency and cost of celery-rs beside other task queues.",
        epilog=f"plans: {plans}. Examples: python -m bench drain --tasks 20000 --repeat 5; "
        "python -m bench delay idle --contestants celery-rs-redis celery-redis --json out.json; "
        "python -m bench --plan report --resume run.json; python -m bench render run.json --into docs/benchmarks",
    )
    count, seconds = _more_than_zero(int), _more_than_zero(float)
    add = parser.add_argument
    add(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"what to ask (all): {', '.join(SCENARIOS)}; or `{_RENDER} FILE.json`, to measure nothing",
    )
    add("--plan", choices=PLANS, help="ask what a plan says, and nothing else")
    add(
        "--contestants",
        nargs="+",
        choices=[*SETS, *CONTESTANTS],
        default=DEFAULT,
        metavar="NAME",
        help=f"who takes part ({' '.join(DEFAULT)}): {', '.join(CONTESTANTS)}; or all of {', '.join(SETS)}",
    )
    add("--tasks", type=count, metavar="N", help="tasks of a run (each scenario's own)")
    add("--repeat", type=count, default=3, metavar="R", help="rounds (%(default)s)")
    add("--results", choices=("off", "stored"), help="only with results off, or stored (both)")
    add(
        "--limit",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds after which a stretch of work is cut short (%(default)g)",
    )
    add("--idle", type=seconds, default=10.0, metavar="S", help="how long to watch an idle worker (%(default)g)")
    add("--long", type=seconds, default=10.0, metavar="S", help="the long call in long_among_short (%(default)g)")
    add(
        "--directory",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="where brokers keep their files (%(default)s)",
    )
    add("--minutes", type=seconds, default=inf, metavar="M", help="begin no round after that (a plan's own)")
    add("--json", type=Path, metavar="FILE", help="write all figures and rounds there, after each round")
    add("--resume", type=Path, metavar="FILE", help="the same, without asking for the rounds that it holds")
    add("--into", type=Path, metavar="DIR", help="write report.json, report.md and charts there at the end")
    arguments = parser.parse_args(given)
    if arguments.scenarios[:1] == [_RENDER]:
        if len(arguments.scenarios) != 2:
            parser.error(f"expected `{_RENDER} FILE.json`")
        return arguments
    for name in arguments.scenarios:
        if name not in SCENARIOS:
            parser.error(f"unknown scenario {name!r}, expected one of {', '.join(SCENARIOS)}")
    if arguments.plan and arguments.scenarios:
        parser.error("a plan names its scenarios itself: give either --plan or scenarios")
    return arguments


def _entries(arguments: argparse.Namespace) -> tuple[Entry, ...]:
    if arguments.plan:
        return PLANS[arguments.plan].entries
    effort = Effort(arguments.tasks, arguments.limit, arguments.idle, arguments.long)
    wanted = {None: None, "off": (False,), "stored": (True,)}[arguments.results]
    contestants = tuple(each.name for each in chosen(arguments.contestants))
    return tuple(
        Entry(name, contestants, repeat=arguments.repeat, effort=effort, results=wanted)
        for name in dict.fromkeys(arguments.scenarios or SCENARIOS)
    )


def _write(report: Report, place: Path) -> None:
    """The raw figures, the tables, and a chart of each section that has something to compare."""
    drawn = charts(report)
    place.mkdir(parents=True, exist_ok=True)
    record.save(place / "report.json", report)
    method = os.path.relpath(_METHOD, place)
    (place / "report.md").write_text(tables.markdown(report, [chart.name for chart in drawn], _GROUPS, method=method))
    import_module("bench.drawing").draw(drawn, place / "charts")


def _end(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that every worker is stopped and every directory removed on the way out."""
    raise SystemExit(128 + signum)


def main(given: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a contestant failed, and never because of a figure."""
    words = list(sys.argv[1:] if given is None else given)
    arguments = _arguments(words)
    signal.signal(signal.SIGTERM, _end)
    try:
        if arguments.scenarios[:1] == [_RENDER]:
            report = record.load(Path(arguments.scenarios[1]))
        else:
            report = _run(arguments, shlex.join(["python", "-m", "bench", *words]))
        print("\n" + tables.text(report))
        if arguments.into is not None:
            _write(report, arguments.into)
    except RecordError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        print(f"bench: {_NO_CHARTS}", file=sys.stderr)
        return 1
    return int(any(one.failure for section in report.sections for one in section.rounds))


def _run(arguments: argparse.Namespace, command: str) -> Report:
    if arguments.into is not None:
        import_module("bench.drawing")  # not after an hour of measuring
    run = Run(_entries(arguments), command, arguments.directory, Progress())
    if arguments.resume is not None and arguments.resume.exists():
        run.report = record.gone_on(run.report, record.load(arguments.resume))
    kept = [path for path in (arguments.json, arguments.resume) if path is not None]

    def keep(report: Report) -> None:
        for path in kept:
            record.save(path, report)

    minutes = PLANS[arguments.plan].minutes if arguments.plan and arguments.minutes == inf else arguments.minutes
    run.go(keep, minutes * 60)
    keep(run.report)
    return run.report


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
