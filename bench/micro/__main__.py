"""Single parts beside what they replace.

    python -m bench.micro [NAME...] [--repeat 9] [--json FILE]
    python -m bench.micro pool | redis_results | sqlite [OPTIONS]

Without a name, or with some, the table of functions (`cases.py`): CPU nanoseconds of a call, how far the middle half
of the repeats lies apart, and how many times as long each way takes as ours. All ways take turns; that they say the
same is checked first. A name may be a part of one, or a glob. With the name of a part of celery-rs, that part by
itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench.micro import pool, redis_results, sqlite
from bench.micro.case import Case, Contestant, Figure, Here, compare
from bench.micro.cases import cases
from bench.micro.celery_side import CelerySide, There

PARTS = {"pool": pool.main, "redis_results": redis_results.main, "sqlite": sqlite.main}


def chosen(names: Sequence[str]) -> list[Case]:
    """Raises ValueError for a name that is none."""
    known = cases()
    for name in names:
        if not any(_is_meant(name, case) for case in known):
            raise ValueError(f"no case {name!r}, expected (a part of) one of: {'; '.join(case.name for case in known)}")
    return [case for case in known if not names or any(_is_meant(name, case) for name in names)]


def _is_meant(name: str, case: Case) -> bool:
    return name in case.name or fnmatchcase(case.name, name)


def contestants(case: Case, side: CelerySide | None) -> list[Contestant]:
    here = [Here(way, case.calls) for way in case.ways]
    return [*here, There(side, case.name)] if side is not None and case.name in side.ways else [*here]


def show(name: str, figures: Sequence[Figure]) -> None:
    for n, figure in enumerate(figures):
        ratio = "" if n == 0 else f"{figure.ratio:9.1f}x"
        print(f"{name if n == 0 else '':40}{figure.by:16}{figure.ns:12,.0f}  ±{figure.spread:4.0%}{ratio}", flush=True)


def main(given: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if given is None else given)
    if words and words[0] in PARTS:
        sys.argv[:] = [f"python -m bench.micro {words[0]}", *words[1:]]
        PARTS[words[0]]()
        return
    parser = argparse.ArgumentParser(
        prog="python -m bench.micro", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--repeat", type=int, default=9, metavar="R", help="turns of each (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=0.02, metavar="S", help="about so long each turn (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    options = parser.parse_args(words)
    try:
        asked = chosen(options.names)
    except ValueError as error:
        parser.error(str(error))
    side = None
    try:
        side = CelerySide()
    except FileNotFoundError as error:
        print(f"without Celery's ways: {error}", file=sys.stderr)
    found: dict[str, list[Figure]] = {}
    print(f"{'':40}{'by':16}{'ns a call':>12}  spread  takes")
    for case in asked:
        found[case.name] = compare(contestants(case, side), options.repeat, options.seconds)
        show(case.name, found[case.name])
    if side is not None:
        side.close()
    if options.json is not None:
        report = {name: [figure._asdict() for figure in figures] for name, figures in found.items()}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
