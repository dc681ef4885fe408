"""`python -m tests.chaos --minutes 5`: chaos as long as asked; prints the ledger, exit code 1 if anything was lost.

With `--broker redis` it runs on a Redis of its own (appendfsync always), workers are stopped for longer than their
leases, and of their scripts' replies every 200th is lost. With `--broker rabbitmq` it runs on a RabbitMQ of its own,
and workers are stopped until the broker gives them up. `--celery` lets Celery's own workers be killed instead, over
a connection that loses nothing.
"""

import argparse
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.chaos.on_rabbitmq import on_rabbitmq
from tests.chaos.on_redis import on_redis
from tests.chaos.run import Run, run

TASKS_PER_SECOND = 700
LESS_PER_SECOND = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--meddle", action="store_true", help="also revoke, resize, restart and hang up at random")
    parser.add_argument("--broker", choices=("sqlite", "redis", "rabbitmq"), default="sqlite")
    parser.add_argument("--celery", action="store_true", help="workers of Celery, from .venv-celery; not on SQLite")
    options = parser.parse_args()
    if options.celery and options.broker == "sqlite":
        parser.error("--celery needs --broker redis or rabbitmq")
    if options.meddle and options.broker == "rabbitmq":
        parser.error("--meddle needs a broker that can be asked where a task is, such as redis")
    folder = Path(tempfile.mkdtemp(prefix="celery-rs-chaos-"))
    seconds, rate = options.minutes * 60, TASKS_PER_SECOND
    if options.meddle or options.broker != "sqlite":
        rate = LESS_PER_SECOND
    plan = Run(folder, int(seconds * rate), seconds, options.seed, options.meddle)
    with chosen_place(plan, options.broker, celery=options.celery) as chosen:
        ledger = run(chosen)
    print(ledger)
    if not ledger.balanced:
        found = {"lost": ledger.lost, "unexplained": ledger.unexplained, "risen": ledger.risen}
        found["unfollowed"] = ledger.unfollowed
        print("; ".join(f"{name}: {sorted(ids)[:10]}" for name, ids in found.items() if ids), f"files in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def chosen_place(plan: Run, broker: str, *, celery: bool) -> AbstractContextManager[Run]:
    if broker == "sqlite":
        return nullcontext(plan)
    return (on_redis if broker == "redis" else on_rabbitmq)(plan, celery=celery)


if __name__ == "__main__":
    sys.exit(main())
