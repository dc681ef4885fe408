"""A producer of the chaos run: `python -m tests.chaos.producer COUNT PER_SECOND FILE [PREFIX]`.

It writes down an id only after `delay()` has returned: that is what "acknowledged to the caller" means.
With a prefix some tasks have to wait for their time, and some have a link; the ids of those begin with it.
"""

import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from celery_rs.errors import OperationalError
from tests.chaos import tasks

PAUSES = (0.0,) * 10 + (0.001,) * 8 + (0.02,) * 2
COUNTDOWNS = (None,) * 8 + (0.5, 4.0)


def main(count: int, per_second: float, acknowledged: Path, linked: str = "") -> None:
    chance = random.Random(count)
    begin = time.monotonic()
    with acknowledged.open("w", buffering=1) as ids:
        for number in range(count):
            task = tasks.late if number % 2 else tasks.early
            try:
                result = task.apply_async((chance.choice(PAUSES),), **_options(chance, linked))
            except OperationalError as error:
                # A worker stopped in the middle of a write holds the lock: nothing was promised to this caller.
                print(error, file=sys.stderr)
            else:
                ids.write(f"{result.id}\n")
            ahead = begin + number / per_second - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)  # the pace of the run, not a wait for anything


def _options(chance: random.Random, linked: str) -> dict[str, Any]:
    if not linked:
        return {}
    countdown = chance.choice(COUNTDOWNS)
    if chance.random() < 0.7:
        return {"countdown": countdown}
    id = f"{linked}{uuid.uuid4()}"
    return {"countdown": countdown, "task_id": id, "link": tasks.followed.si(id)}


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
