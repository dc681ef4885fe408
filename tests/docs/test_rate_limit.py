"""Ten per minute, as the tutorial sets it while the worker runs, measured: starts are six seconds apart."""

from itertools import pairwise
from pathlib import Path

from tests.docs.pages import Block
from tests.docs.reader import reading

_TASKS = """\
import time

from celery_rs import Celery

app = Celery("tasks")


@app.task
def add(x, y):
    return time.time()
"""
_WORKER = "$ celery-rs -A tasks worker -n worker@example.com -c 2 -l INFO\n"
_LIMIT = """\
$ celery-rs -A tasks control rate_limit tasks.add 10/m
worker@example.com: OK
    new rate limit set successfully
"""
_MEASURE = """\
>>> from tasks import add
>>> results = [add.delay(1, 1) for _ in range(3)]
>>> starts = sorted(result.get(timeout=18) for result in results)
>>> open("starts", "w").write(" ".join(map(str, starts))) > 0
True
"""


def test_a_limit_of_ten_per_minute_starts_a_task_every_six_seconds(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    steps = [
        Block("python", {"title": "tasks.py"}, _TASKS, 1),
        Block("console", {}, _WORKER, 1),
        Block("console", {}, _LIMIT, 1),
        Block("pycon", {}, _MEASURE, 1),
    ]

    with reading(home) as reader:
        for step in steps:
            reader.take(step)

    starts = [float(start) for start in (home / "starts").read_text().split()]
    gaps = [after - before for before, after in pairwise(starts)]
    # A start is late when the machine is busy, and the next one is then early by as much.
    assert [round(gap) for gap in gaps] == [6, 6], gaps
