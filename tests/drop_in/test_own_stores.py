"""Result stores written for Celery: the same classes under both programs, with the same outcome, in the same file."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import DEADLINE_S
from tests.drop_in.running import OURS, REAL, Program
from tests.redis_server import redis_server

PROJECT = Path(__file__).parent / "own_stores"
READER = """
import json, sys
from shop import app
values = [app.AsyncResult(id) for id in json.load(sys.stdin)]
print(json.dumps([[value.state, str(value.result)] for value in values]))
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server"),
    pytest.mark.skipif(not Path(REAL.script[0]).exists(), reason="there is no .venv-celery: run `make test`"),
]


def environment(program: Program, broker: str, results: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if "CELERY" not in name and name != "PYTHONPATH"}
    return env | {"SHOP_BROKER": broker, "SHOP_RESULTS": results, **program.env}


def script(program: Program, folder: Path, env: dict[str, str], name: str, given: str = "") -> Any:
    done = subprocess.run(
        [*program.script, name],
        cwd=folder,
        env=env,
        input=given,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{(folder / 'worker.log').read_text()}"
    return json.loads(done.stdout)


@contextmanager
def worker(program: Program, folder: Path, env: dict[str, str]) -> Iterator[None]:
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [*program.worker, "-A", "shop", "worker", "-l", "INFO", "-c", "1"],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()


def run(program: Program, folder: Path, broker: str, store: str) -> Any:
    shutil.copytree(PROJECT, folder)
    (folder / "reader.py").write_text(READER)
    env = environment(program, broker, f"stores:{store}+own://{folder}/values")
    with worker(program, folder, env):
        return script(program, folder, env, "client.py")


@pytest.mark.parametrize("store", ["Values", "Rows", "Whole"])
def test_a_store_written_for_celery_does_the_same_here(tmp_path: Path, store: str) -> None:
    with redis_server(tmp_path) as url:
        expected = run(REAL, tmp_path / "celery", f"{url}/0", store)
        seen = run(OURS, tmp_path / "ours", f"{url}/1", store)

    assert seen == expected
    assert seen["add"]["value"] == 3


@pytest.mark.parametrize("store", ["Values", "Rows"])
@pytest.mark.parametrize(("writes", "reads"), [(REAL, OURS), (OURS, REAL)], ids=["celery writes", "we write"])
def test_what_one_has_stored_in_it_the_other_reads(tmp_path: Path, store: str, writes: Program, reads: Program) -> None:
    with redis_server(tmp_path) as url:
        run(writes, tmp_path / "shop", f"{url}/0", store)
        env = environment(reads, f"{url}/0", f"stores:{store}+own://{tmp_path}/shop/values")
        stored = json.loads((tmp_path / "shop" / "values").read_text())
        ids = [key.removeprefix("celery-task-meta-") for key in stored if "group" not in key and "taskset" not in key]
        told = script(reads, tmp_path / "shop", env, "reader.py", json.dumps(ids))

    assert {state for state, _ in told} == {"SUCCESS", "FAILURE", "PROGRESS"}
    assert ["FAILURE", "('bolts', 1)"] in told
