"""`python -m tests.chaos --minutes 5`: chaos as long as asked; prints the ledger, exit code 1 if anything was lost."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Run, run

TASKS_PER_SECOND = 700


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="celery-rs-chaos-"))
    seconds = options.minutes * 60
    ledger = run(Run(folder, int(seconds * TASKS_PER_SECOND), seconds, options.seed))
    print(ledger)
    if not ledger.balanced:
        print(f"lost: {sorted(ledger.lost)[:10]}; unexplained: {sorted(ledger.unexplained)[:10]}; files in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
