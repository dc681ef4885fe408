"""`python -m celery_rs.drop_in program.py ARG...`, or `-m module ARG...`: run it with celery-rs in Celery's place."""

import os
import runpy
import sys
from collections.abc import Sequence

from celery_rs.drop_in.activate import install

USAGE = "usage: python -m celery_rs.drop_in PROGRAM.py [ARG...]\n       python -m celery_rs.drop_in -m MODULE [ARG...]"


def main(arguments: Sequence[str]) -> None:
    """Run a program as `python` would, its directory (or with `-m` the working one) first on the path."""
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        sys.exit(USAGE)
    install()
    # for the processes that it starts, if they are `celery-rs`
    os.environ["CELERY_RS_DROP_IN"] = "1"
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    program = arguments[0]
    if not os.path.exists(program):
        sys.exit(f"expected a program to run, got {program!r}, where there is none")
    sys.argv = list(arguments)
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
