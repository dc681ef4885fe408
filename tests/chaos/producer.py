"""A producer of the chaos run: `python -m tests.chaos.producer COUNT PER_SECOND FILE`.

It writes down an id only after `delay()` has returned: that is what "acknowledged to the caller" means.
"""

import random
import sys
import time
from pathlib import Path

from celery_rs.errors import OperationalError
from tests.chaos import tasks

PAUSES = (0.0,) * 10 + (0.001,) * 8 + (0.02,) * 2


def main(count: int, per_second: float, acknowledged: Path) -> None:
    chance = random.Random(count)
    begin = time.monotonic()
    with acknowledged.open("w", buffering=1) as ids:
        for number in range(count):
            task = tasks.late if number % 2 else tasks.early
            try:
                result = task.delay(chance.choice(PAUSES))
            except OperationalError as error:
                # A worker stopped in the middle of a write holds the lock: nothing was promised to this caller.
                print(error, file=sys.stderr)
            else:
                ids.write(f"{result.id}\n")
            ahead = begin + number / per_second - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)  # the pace of the run, not a wait for anything


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
