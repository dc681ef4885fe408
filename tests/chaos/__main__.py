"""`python -m tests.chaos --minutes 5`: chaos as long as asked; prints the ledger, exit code 1 if anything was lost."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Run, run

TASKS_PER_SECOND = 700
MEDDLED_PER_SECOND = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--meddle", action="store_true", help="also revoke, resize, restart and hang up at random")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="celery-rs-chaos-"))
    seconds, rate = options.minutes * 60, MEDDLED_PER_SECOND if options.meddle else TASKS_PER_SECOND
    ledger = run(Run(folder, int(seconds * rate), seconds, options.seed, options.meddle))
    print(ledger)
    if not ledger.balanced:
        found = {"lost": ledger.lost, "unexplained": ledger.unexplained, "risen": ledger.risen}
        found["unfollowed"] = ledger.unfollowed
        print("; ".join(f"{name}: {sorted(ids)[:10]}" for name, ids in found.items() if ids), f"files in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
