"""`python -m bench`: ask every scenario of every contestant, in turn, several times.

Contestants alternate, and every second round goes backwards, so that a machine that warms up or slows down does so
for all of them.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from bench.contestants import CONTESTANTS, DEFAULT, Contestant, ContestantError
from bench.machine import describe
from bench.report import Report, Round, Section, Terms, render, to_json
from bench.scenarios import SCENARIOS, Effort, Scenario, Stage

Number = Callable[[str], float]


def _more_than_zero(kind: type[int] | type[float]) -> Number:
    def number(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"expected a number above zero, got {text!r}")
        return value

    return number


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Throughput, latency and cost of celery-rs beside Celery.",
        epilog="examples: python -m bench drain --tasks 20000 --repeat 5; python -m bench delay idle --json out.json",
    )
    count, seconds = _more_than_zero(int), _more_than_zero(float)
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help=f"what to ask (all): {', '.join(SCENARIOS)}")
    add(
        "--contestants",
        nargs="+",
        choices=CONTESTANTS,
        default=DEFAULT,
        metavar="NAME",
        help=f"who takes part ({' '.join(DEFAULT)}): {', '.join(CONTESTANTS)}",
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
    add("--json", type=Path, metavar="FILE", help="write all figures and rounds there as well")
    arguments = parser.parse_args(given)
    for name in arguments.scenarios:
        if name not in SCENARIOS:
            parser.error(f"unknown scenario {name!r}, expected one of {', '.join(SCENARIOS)}")
    return arguments


def _ask(scenario: Scenario, contestant: Contestant, results: bool, effort: Effort, directory: Path) -> Round:
    """One run, in a directory of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=directory, ignore_cleanup_errors=True) as place:
        broker = None
        try:
            broker = contestant.broker(Path(place)) if contestant.broker is not None else None
            stage = Stage(contestant, Path(place), results, effort.tasks or scenario.tasks or 1, effort, broker)
            measured = scenario.run(stage)
        except ContestantError as error:
            return Round(contestant.name, failure=str(error))
        finally:
            if broker is not None:
                broker.stop()
    return Round(contestant.name, dict(measured.values), measured.notes)


def _section(
    scenario: Scenario,
    contestants: Sequence[Contestant],
    results: bool,
    effort: Effort,
    repeat: int,
    directory: Path,
) -> Section:
    """All rounds of one scenario under one setting of results."""
    rounds = []
    for turn in range(repeat):
        for contestant in contestants if turn % 2 == 0 else reversed(contestants):
            began = time.monotonic()
            one = _ask(scenario, contestant, results, effort, directory)
            rounds.append(one)
            _say(
                f"{scenario.name}, results {'stored' if results else 'off'}, round {turn + 1} of {repeat}, "
                f"{contestant.name}: {_in_short(scenario, one)} ({time.monotonic() - began:.0f} s)"
            )
    return Section(
        scenario.name,
        scenario.question,
        results,
        scenario.tasks and (effort.tasks or scenario.tasks),
        scenario.figures,
        tuple(rounds),
    )


def _in_short(scenario: Scenario, one: Round) -> str:
    if one.failure:
        return f"FAILED: {one.failure}"
    return ", ".join(
        f"{figure.title} {one.values[figure.key]:,.4g} {figure.unit}".rstrip()
        for figure in scenario.figures
        if figure.key in one.values
    )


def _say(text: str) -> None:
    print(f"[bench] {text}", flush=True)


def _end(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that every worker is stopped and every directory removed on the way out."""
    raise SystemExit(128 + signum)


def main(given: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a contestant failed, and never because of a figure."""
    arguments = _arguments(given)
    signal.signal(signal.SIGTERM, _end)
    contestants = [CONTESTANTS[name] for name in dict.fromkeys(arguments.contestants)]
    effort = Effort(arguments.tasks, arguments.limit, arguments.idle, arguments.long)
    wanted = {None: (False, True), "off": (False,), "stored": (True,)}[arguments.results]
    machine = describe(arguments.directory)
    try:
        for contestant in contestants:
            contestant.prepare()
        terms = {
            each.name: Terms(each.versions(), each.durability, each.acknowledgement, each.caveat)
            for each in contestants
        }
    except ContestantError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    sections = tuple(
        _section(scenario, contestants, results, effort, arguments.repeat, arguments.directory)
        for name in dict.fromkeys(arguments.scenarios or SCENARIOS)
        for scenario in (SCENARIOS[name],)
        for results in scenario.results
        if results in wanted
    )
    report = Report(machine, terms, sections)
    print("\n" + render(report))
    if arguments.json is not None:
        arguments.json.write_text(to_json(report) + "\n")
    return int(any(one.failure for section in sections for one in section.rounds))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
