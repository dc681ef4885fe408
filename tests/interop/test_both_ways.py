"""Every way to call a task, sent by one side and run by the other: both directions share one table."""

import fcntl
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import rabbitmq_vhosts
from tests.interop.both_ways import CASES, PROJECT, Case, client_code
from tests.interop.celery_side import CELERY, CeleryProject, OurProject
from tests.redis_server import redis_server

DIRECTIONS = {"to-celery": (OurProject, CeleryProject), "to-ours": (CeleryProject, OurProject)}
KINDS = ("redis", "rabbitmq-classic", "rabbitmq-quorum")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
ZSTD = any(CELERY.parents[1].glob("lib/python3*/site-packages/backports/zstd"))
"""Whether the Celery here can compress with zstd; one installed for an older state of this project cannot."""
NEEDS_ZSTD = pytest.mark.skipif(not ZSTD, reason="no backports.zstd in .venv-celery: run `make test`")
SETTINGS = {"accept_content": ["json", "pickle", "yaml", "msgpack"], "result_extended": True}


def needs_zstd(case: Case) -> bool:
    return case.name == "compression-zstd"


def run_all(direction: str, kind: str, folder: Path) -> dict[str, Any]:
    """What one client tells of all cases, one worker of the other side having run them; and what that one printed.

    What fails with one case is told of that one. A client that dies, or hangs, tells of none: then another tries.
    """
    try:
        return _run_all(direction, kind, folder / "first")
    except (AssertionError, subprocess.TimeoutExpired):
        return _run_all(direction, kind, folder / "second")


def _run_all(direction: str, kind: str, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    with redis_server(folder) as redis:
        if kind == "redis":
            return _run_both(direction, folder, f"{redis}/0", {"result_backend": f"{redis}/0"})
        name = rabbitmq_vhosts.fresh()
        try:
            own = {"result_backend": f"{redis}/0", "queue_arguments": {"x-queue-type": kind.removeprefix("rabbitmq-")}}
            return _run_both(direction, folder, rabbitmq_vhosts.url_of(name), own)
        finally:
            rabbitmq_vhosts.done_with(name)


def _run_both(direction: str, folder: Path, broker: str, own: Mapping[str, object]) -> dict[str, Any]:
    client_class, worker_class = DIRECTIONS[direction]
    settings = {**SETTINGS, **own}
    with (
        client_class(folder / "client", broker, settings, PROJECT) as client,
        worker_class(folder / "worker", broker, settings, PROJECT) as worker,
    ):
        running = worker.worker("-c", "4", *QUIET, wait=False)
        try:
            cases = [case for case in CASES if (ZSTD or not needs_zstd(case)) and not dropped(case, broker)]
            said: dict[str, Any] = client.python(client_code(cases))
        except Exception as error:
            error.add_note(running.output)
            raise
        return {"cases": said, "worker": running.output}


def dropped(case: Case, broker: str) -> bool:
    """RabbitMQ itself drops what has expired, and says so to nobody: whether a worker sees it first is a race."""
    return case.name in ("expired", "expires-before-its-time") and broker.startswith("amqp")


@pytest.fixture(scope="module", params=[(direction, kind) for direction in DIRECTIONS for kind in KINDS], ids="-".join)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Done once for all the processes that run tests: who comes first does it, the others wait for what it wrote.

    In a folder of each attempt's own: what fails in one process is tried anew in the next, not failed by its remains.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    direction, kind = request.param
    if kind != "redis" and not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ that may be told to make virtual hosts: run `make test`")
    with (shared / f"{direction}-{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        written = shared / f"{direction}-{kind}.json"
        if not written.exists():
            folder = Path(tempfile.mkdtemp(prefix=f"{direction}-{kind}-", dir=shared))
            written.write_text(json.dumps(run_all(direction, kind, folder)))
    found: dict[str, Any] = json.loads(written.read_text())
    return found


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=NEEDS_ZSTD if needs_zstd(case) else ()) for case in CASES],
)
def test_a_call_means_the_same_on_the_other_side(told: dict[str, Any], case: Case) -> None:
    if case.name not in told["cases"]:
        pytest.skip("this broker may drop it before any worker sees it")
    seen = told["cases"][case.name]

    assert {name: seen.get(name) for name in case.expect} == dict(case.expect), (
        f"{seen.get('failed')}\n{seen}\n{told['worker']}"
    )
