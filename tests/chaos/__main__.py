"""`python -m tests.chaos --minutes 5`: chaos as long as asked; prints the ledger, exit code 1 if anything was lost.

With `--broker redis` it runs on a Redis of its own (appendfsync always), workers are stopped for longer than their
leases, and of their scripts' replies every 200th is lost. `--celery` lets Celery's own workers be killed instead, over
a connection that loses nothing.
"""

import argparse
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from tests.chaos.on_redis import on_redis
from tests.chaos.run import Run, run

TASKS_PER_SECOND = 700
LESS_PER_SECOND = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--meddle", action="store_true", help="also revoke, resize, restart and hang up at random")
    parser.add_argument("--broker", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--celery", action="store_true", help="workers of Celery, from .venv-celery; on Redis only")
    options = parser.parse_args()
    if options.celery and options.broker != "redis":
        parser.error("--celery needs --broker redis")
    folder = Path(tempfile.mkdtemp(prefix="celery-rs-chaos-"))
    seconds, rate = options.minutes * 60, TASKS_PER_SECOND
    if options.meddle or options.broker == "redis":
        rate = LESS_PER_SECOND
    plan = Run(folder, int(seconds * rate), seconds, options.seed, options.meddle)
    with on_redis(plan, celery=options.celery) if options.broker == "redis" else nullcontext(plan) as chosen:
        ledger = run(chosen)
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
