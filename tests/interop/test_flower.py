"""Real Flower 2.2 on our worker: it is shown with its tasks, and does what Flower's buttons say."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from celery_rs.config import mask_url
from tests.deadlines import DEADLINE_S, eventually
from tests.interop.celery_side import CeleryProject, OurProject, Running
from tests.redis_server import free_port


class Flower:
    """Flower's own process, and its HTTP API."""

    def __init__(self, project: CeleryProject) -> None:
        self.port = free_port()
        words = ("-A", "proj", "flower", "--address=127.0.0.1", f"--port={self.port}", "--inspect_timeout=2000")
        self.process: Running = project.start(*words)
        self.process.wait_for("Visit me at")
        eventually(lambda: self.get("/api/workers") is not None, lambda: self.process.output)

    def get(self, path: str, **query: object) -> Any:
        return self._ask(path, query)

    def post(self, path: str, **form: object) -> Any:
        return self._ask(path, {}, urllib.parse.urlencode(form).encode())

    def _ask(self, path: str, query: dict[str, object], form: bytes | None = None) -> Any:
        """None where Flower cannot answer yet."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, form), timeout=DEADLINE_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None
        except urllib.error.URLError:
            return None


@pytest.fixture
def flower(theirs: CeleryProject, monkeypatch: pytest.MonkeyPatch) -> Flower:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    return Flower(theirs)


def has_ended(flower: Flower, task_id: str, state: str) -> dict[str, Any]:
    """The task as Flower shows it, once it is in that state."""
    eventually(lambda: (flower.get("/api/tasks") or {}).get(task_id, {}).get("state") == state)
    task: dict[str, Any] = flower.get("/api/tasks")[task_id]
    return task


def test_flower_shows_our_worker_and_its_tasks(flower: Flower, theirs: CeleryProject, ours: OurProject) -> None:
    ours.worker("-E", "-c", "2")
    eventually(lambda: (flower.get("/api/workers", status="1") or {}).get("w1@host") is True)

    added, failed = theirs.python("say([proj.add.delay(2, 2).id, proj.fail.delay().id])")
    success, failure = has_ended(flower, added, "SUCCESS"), has_ended(flower, failed, "FAILURE")

    assert {name: success[name] for name in ("name", "args", "kwargs", "result", "retries", "worker")} == {
        "name": "proj.add",
        "args": "(2, 2)",
        "kwargs": "{}",
        "result": "4",
        "retries": 0,
        "worker": "w1@host",
    }
    assert 0 <= success["runtime"] < DEADLINE_S
    assert success["received"] <= success["started"] <= success["succeeded"]
    assert failure["exception"] == "ValueError('boom', 1)"
    assert failure["traceback"].endswith("ValueError: ('boom', 1)\n")


def test_flower_shows_what_our_worker_says_of_itself(flower: Flower, ours: OurProject) -> None:
    worker = ours.worker("-E", "-c", "2")
    eventually(lambda: "w1@host" in (flower.get("/api/workers", refresh="1") or {}))

    shown = flower.get("/api/workers", workername="w1@host", refresh="1")["w1@host"]

    assert shown["stats"]["pid"] == worker.process.pid
    assert shown["stats"]["pool"]["max-concurrency"] == 2
    assert [queue["name"] for queue in shown["active_queues"]] == ["celery"]
    assert "proj.add" in shown["registered"]
    assert (shown["active"], shown["reserved"], shown["scheduled"], shown["revoked"]) == ([], [], [], [])
    assert shown["conf"]["broker_url"] == mask_url(str(ours.settings["broker_url"]))


def test_flower_changes_and_ends_our_worker(flower: Flower, theirs: CeleryProject, ours: OurProject) -> None:
    worker = ours.worker("-E", "-c", "1")
    eventually(lambda: "w1@host" in (flower.get("/api/workers", refresh="1") or {}))

    grown = flower.post("/api/worker/pool/grow/w1@host", n=1)
    limited = flower.post("/api/task/rate-limit/proj.add", workername="w1@host", ratelimit="10/m")
    consuming = flower.post("/api/worker/queue/add-consumer/w1@host", queue="extra")
    held = theirs.python("say(proj.hold.delay('held').id)")
    eventually(lambda: ours.started("held"))
    revoked = flower.post(f"/api/task/revoke/{held}", terminate="true", signal="SIGKILL")
    ended = has_ended(flower, held, "REVOKED")
    shut = flower.post("/api/worker/shutdown/w1@host")

    assert grown == {"message": "Growing 'w1@host' worker's pool by 1"}
    assert limited == {"message": "new rate limit set successfully"}
    assert consuming == {"message": "add consumer extra"}
    assert revoked == {"message": f"Revoked '{held}'"}
    assert ended["name"] == "proj.hold"
    assert shut == {"message": "Shutting down!"}
    assert worker.ends() == 0
    eventually(lambda: flower.get("/api/workers", status="1").get("w1@host") is False)
