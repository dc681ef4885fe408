"""Every contestant on a RabbitMQ still runs: a few tasks, no figure looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.contestants import CONTESTANTS, ROOT, servers
from bench.contestants.environment import CELERY

TASKS = 20
NAMES = ["celery-rs-rabbitmq", "celery-rabbitmq", "dramatiq-rabbitmq"]


@pytest.mark.skipif(not CELERY.python.exists(), reason=f".venv-{CELERY.name} is not there: run `make test`")
@pytest.mark.skipif(not servers.has_rabbitmq(), reason="rabbitmq-server is not there: install RabbitMQ")
@pytest.mark.parametrize("name", NAMES)
def test_a_contestant_on_rabbitmq_collects_its_results(name: str, tmp_path: Path):
    figures = tmp_path / "figures.json"
    asked = ["collected", "--contestants", name, "--tasks", str(TASKS), "--repeat", "1", "--limit", "30"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *asked, "--directory", str(tmp_path), "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (section,) = json.loads(figures.read_text())["sections"]
    (run,) = section["rounds"]
    assert (run["contestant"], run["notes"]) == (name, [])
    assert set(run["values"]) == {"rate", "client", "worker", "broker"}


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name.endswith(("rabbitmq", "confirms"))])
def test_a_figure_never_stands_without_what_it_promises(name: str):
    terms = CONTESTANTS[name]

    assert terms.acknowledgement
    assert "confirm" in terms.durability
    assert "persistent" in terms.durability
