"""Every way to call a task, sent by one side and run by the other: both directions share one table."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.both_ways import CASES, PROJECT, Case, client_code
from tests.interop.celery_side import CELERY, CeleryProject, OurProject
from tests.redis_server import redis_server

DIRECTIONS = {"to-celery": (OurProject, CeleryProject), "to-ours": (CeleryProject, OurProject)}
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
ZSTD = any(CELERY.parents[1].glob("lib/python3*/site-packages/backports/zstd"))
"""Whether the Celery here can compress with zstd; one installed for an older state of this project cannot."""
NEEDS_ZSTD = pytest.mark.skipif(not ZSTD, reason="no backports.zstd in .venv-celery: run `make test`")
SETTINGS = {"accept_content": ["json", "pickle", "yaml", "msgpack"], "result_extended": True}


def needs_zstd(case: Case) -> bool:
    return case.name == "compression-zstd"


def run_all(direction: str, folder: Path, broker: str) -> dict[str, Any]:
    """What one client tells of all cases, one worker of the other side having run them."""
    client_class, worker_class = DIRECTIONS[direction]
    settings = {**SETTINGS, "result_backend": broker}
    with (
        client_class(folder / "client", broker, settings, PROJECT) as client,
        worker_class(folder / "worker", broker, settings, PROJECT) as worker,
    ):
        running = worker.worker("-c", "4", *QUIET, wait=False)
        try:
            told: dict[str, Any] = client.python(client_code([case for case in CASES if ZSTD or not needs_zstd(case)]))
        except Exception as error:
            error.add_note(running.output)
            raise
    return told


@pytest.fixture(scope="module", params=DIRECTIONS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Done once for all the processes that run tests: who comes first does it, the others wait for what it wrote."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    direction = str(request.param)
    with (shared / f"{direction}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        written = shared / f"{direction}.json"
        if not written.exists():
            folder = shared / direction
            folder.mkdir()
            with redis_server(folder) as url:
                written.write_text(json.dumps(run_all(direction, folder, f"{url}/0")))
    found: dict[str, Any] = json.loads(written.read_text())
    return found


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=NEEDS_ZSTD if needs_zstd(case) else ()) for case in CASES],
)
def test_a_call_means_the_same_on_the_other_side(told: dict[str, Any], case: Case) -> None:
    seen = told[case.name]

    assert {name: seen.get(name) for name in case.expect} == dict(case.expect), seen
