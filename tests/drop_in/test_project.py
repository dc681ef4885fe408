"""An unmodified Celery project does the same under Celery and under celery-rs."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.drop_in.running import CELERY, OURS, REAL, Told, run
from tests.redis_server import redis_server

DIFFERENT = {
    "refuse": "Celery tells of the failure in the main process, after the run's own end",
    "stubborn": "Celery tells of a killed task's failure twice, and of its end with neither state nor value",
}
"""Where the order or the number of what is told differs; what is told does not."""

pytestmark = [
    pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="real Celery needs a Redis, and there is none"),
]


def kinds(told: Told) -> dict[str, set[str]]:
    both = {task_id: told.runs[task_id] + told.main[task_id] for task_id in DIFFERENT}
    return {task_id: {one["what"] for one in noted} - {"task_postrun"} for task_id, noted in both.items()}


def alike(noted: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {task_id: all_of_it for task_id, all_of_it in noted.items() if task_id not in DIFFERENT}


@pytest.mark.parametrize("broker", ["sqlite", "redis"])
def test_an_unmodified_project_does_the_same_under_both_programs(tmp_path: Path, broker: str) -> None:
    with redis_server(tmp_path) as url, ThreadPoolExecutor(2) as threads:
        embedded = "sqlite:///tasks.sqlite3"
        chosen = {"sqlite": embedded, "redis": f"{url}/1"}[broker]
        celerys = threads.submit(run, REAL, tmp_path / "celery", f"{url}/0", f"{url}/0")
        ours = threads.submit(run, OURS, tmp_path / "ours", chosen, embedded)
        expected, seen = celerys.result(), ours.result()

    assert seen.results == expected.results
    assert alike(seen.runs) == alike(expected.runs)
    assert alike(seen.main) == alike(expected.main)
    assert kinds(seen) == kinds(expected)
    assert seen.logged == expected.logged
    assert len(seen.logged) > 3
