"""The benchmarks still run: a few tasks each, no figure looked at.

Our Redis contestant plays every scenario, the other adapters those in which the broker has a part of its own.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.contestants import CONTESTANTS, ROOT, servers
from bench.contestants.environment import CELERY
from bench.scenarios import SCENARIOS

_QUICKLY = ["--tasks", "20", "--repeat", "1", "--limit", "30", "--idle", "0.1", "--long", "0.1"]
_SOME = ("bulk", "drain", "eta_storm")
_ON_RABBITMQ = ["celery-rs-rabbitmq", "celery-rabbitmq", "dramatiq-rabbitmq"]
_RABBITMQ = pytest.mark.skipif(not servers.has_rabbitmq(), reason="rabbitmq-server is not there: install RabbitMQ")
_REDIS = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not there: install Redis")
_CELERY = pytest.mark.skipif(not CELERY.python.exists(), reason=f".venv-{CELERY.name} is not there: run `make test`")


@_REDIS
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_runs_on_redis(scenario: str, tmp_path: Path):
    assert values(scenario, "celery-rs-redis", tmp_path)


@pytest.mark.parametrize("scenario", _SOME)
def test_scenarios_run_without_a_server(scenario: str, tmp_path: Path):
    assert values(scenario, "celery-rs-sqlite", tmp_path)


@_RABBITMQ
@pytest.mark.parametrize("scenario", _SOME)
def test_scenarios_run_on_rabbitmq(scenario: str, tmp_path: Path):
    assert values(scenario, "celery-rs-rabbitmq", tmp_path)


@_CELERY
@_RABBITMQ
@pytest.mark.parametrize("name", _ON_RABBITMQ[1:])
def test_a_contestant_on_rabbitmq_collects_its_results(name: str, tmp_path: Path):
    assert set(values("collected", name, tmp_path)) == {"rate", "tasks", "client", "cpu", "broker"}


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name.endswith(("rabbitmq", "confirms"))])
def test_a_figure_never_stands_without_what_it_promises(name: str):
    terms = CONTESTANTS[name]

    assert terms.acknowledgement
    assert "confirm" in terms.durability
    assert "persistent" in terms.durability


def values(scenario: str, contestant: str, place: Path) -> dict[str, Any]:
    """What one round of a scenario measured; with results stored, where that is asked as well."""
    figures = place / "figures.json"
    asked = [scenario, "--contestants", contestant, "--directory", str(place), "--json", str(figures)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *asked, *_QUICKLY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    sections = json.loads(figures.read_text())["sections"]
    assert [each["contestant"] for section in sections for each in section["rounds"]] == [contestant] * len(sections)
    seen: dict[str, Any] = sections[-1]["rounds"][-1]["values"]
    return seen
