"""Results over the broker, `rpc://`, beside real Celery: either side's worker answers the other side's client."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import MODULE

# Asks for one of each, and says what it is told.
CLIENT = """
import os, threading, time

def until(holds):
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def told(result):
    value = result.result
    error = [type(value).__name__, list(map(str, value.args))] if isinstance(value, Exception) else None
    return [result.state, error or value, [child.id for child in result.children or ()]]

def raised(result, timeout=DEADLINE_S):
    try:
        result.get(timeout=timeout)
    except Exception as error:
        return [type(error).__name__, list(map(str, error.args))]

# States on the way come first: once Celery's client has waited for an end, it tells no more of them.
retried = proj.put_off.delay()
until(lambda: retried.state == "RETRY")
progress = proj.tells.delay()
until(lambda: progress.state == "PROGRESS")
halfway = [progress.state, progress.info]
open(os.path.join(os.environ["WORKER"], "go"), "w").close()
assert progress.get(timeout=DEADLINE_S) == "told"

success, failure = proj.add.delay(20, 22), proj.fail.delay()
value = [success.get(timeout=DEADLINE_S), success.get(timeout=DEADLINE_S)]
failed = raised(failure)
expired = raised(proj.add.apply_async((1, 1), expires=-1), 10)
later = proj.at_last.delay()
nothing = proj.ignored.delay()
in_group = proj.add.apply_async((1, 2), group_id="g")
has_child = proj.parent.delay()
child = has_child.get(timeout=DEADLINE_S)
assert later.get(timeout=DEADLINE_S) == 1
assert in_group.get(timeout=DEADLINE_S) == 3
say({
    "halfway": halfway, "value": value, "failed": failed, "success": told(success), "failure": told(failure),
    "traceback": failure.traceback, "expired": expired, "ignored": nothing.state,
    "children": told(has_child) == ["SUCCESS", child, [child]],
})
"""

MANY = """
import threading

sent = [proj.add.delay(number, 1) for number in range(1000)]
collected = [result.get(timeout=DEADLINE_S) for result in sent]

def ask(place):
    for number in range(20):
        assert proj.add.delay(place, number).get(timeout=DEADLINE_S) == place + number
    answered.append(place)

answered = []
threads = [threading.Thread(target=ask, args=(place,)) for place in range(THREADS)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
say([collected == list(range(1, 1001)), len(answered)])
"""


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "persistent, extended": {"result_persistent": True, "result_extended": True},
    "compressed elsewhere": {"result_compression": "gzip"},
    "pickle": {"result_serializer": "pickle", "result_accept_content": ["pickle", "json"]},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("answers", [CeleryProject, OurProject])
def test_what_one_sends_the_other_is_told(
    answers: type[Project], settings: dict[str, Any], broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = OurProject if answers is CeleryProject else CeleryProject
    chosen = {"result_backend": "rpc://", **settings}
    with (
        answers(tmp_path / "answers", broker, chosen, MODULE) as worker,
        asks(tmp_path / "asks", broker, chosen, MODULE) as client,
    ):
        monkeypatch.setenv("WORKER", str(worker.folder))
        worker.worker("-c", "1")
        said = client.python(CLIENT)

    assert said["halfway"] == ["PROGRESS", {"done": 3}]
    assert said["value"] == [42, 42]
    assert said["failed"] == ["ValueError", ["boom", "1"]]
    assert said["success"] == ["SUCCESS", 42, []]
    assert said["failure"] == ["FAILURE", ["ValueError", ["boom", "1"]], []]
    assert said["traceback"].rstrip().endswith("ValueError: ('boom', 1)")
    if not broker.startswith("amqp"):  # RabbitMQ may drop it itself, and tells nobody
        assert said["expired"] == ["TaskRevokedError", ["expired"]]
    assert said["ignored"] == "PENDING"
    assert said["children"]


@pytest.mark.parametrize(
    ("answers", "asks"), [(CeleryProject, OurProject), (OurProject, CeleryProject), (OurProject, OurProject)]
)
def test_a_thousand_results_are_collected_and_threads_ask_at_once(
    answers: type[Project], asks: type[Project], broker: str, tmp_path: Path
) -> None:
    # Threads of Celery's share one queue of results, and take them from each other.
    threads = 1 if asks is CeleryProject else 8
    chosen = {"result_backend": "rpc://"}
    with answers(tmp_path / "answers", broker, chosen) as worker, asks(tmp_path / "asks", broker, chosen) as client:
        worker.worker("-c", "2")
        said = client.python(f"THREADS = {threads}\n{MANY}")

    assert said == [True, threads]
