"""Events across: what Celery's monitors make of our workers, and ours of Celery's, on a real Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs import Celery
from tests.deadlines import DEADLINE_S, eventually
from tests.interop.celery_side import CeleryProject, OurProject
from tests.redis_server import free_port, redis_server

CAPTURE = f"""
state = app.events.State()
def heard(event):
    state.event(event)
    if event['type'] == 'task-succeeded':
        task = state.tasks[event['uuid']]
        worker = state.workers[event['hostname']]
        say({{'state': task.state, 'name': task.name, 'args': task.args, 'result': task.result,
             'runtime': task.runtime, 'order': [task.sent, task.received, task.started, task.succeeded],
             'alive': worker.alive, 'worker': worker.hostname, 'ident': worker.sw_ident, 'freq': worker.freq,
             'drift': abs(event['local_received'] - event['timestamp'])}})
        receiver.should_stop = True
def beaten(event):
    heard(event)
    proj.add.delay(2, 2)
with app.connection_for_read() as connection:
    receiver = app.events.Receiver(connection, handlers={{'*': heard, 'worker-heartbeat': beaten}})
    receiver.capture(limit=None, timeout={DEADLINE_S}, wakeup=True)
"""


@pytest.fixture
def client(broker: str) -> Iterator[Celery]:
    with Celery("proj", broker=broker, set_as_current=False) as app:
        yield app


def test_a_monitor_of_celerys_follows_our_worker_and_its_tasks(theirs: CeleryProject, ours: OurProject) -> None:
    theirs.settings["task_send_sent_event"] = True
    ours.worker("-E", "-c", "1")

    seen = theirs.python(CAPTURE)

    assert (seen["state"], seen["name"], seen["args"], seen["result"]) == ("SUCCESS", "proj.add", "(2, 2)", "4")
    sent, *order = seen["order"]  # Celery's clients note the time after they have sent: it may run by then
    assert sent
    assert order == sorted(order)
    assert (seen["alive"], seen["worker"], seen["ident"], seen["freq"]) == (True, "w1@host", "celery-rs", 2.0)
    assert 0 <= seen["runtime"] < DEADLINE_S
    assert seen["drift"] < DEADLINE_S


def test_our_monitor_follows_a_worker_of_celerys_and_its_tasks(client: Celery, theirs: CeleryProject) -> None:
    client.conf.task_send_sent_event = True
    theirs.worker("-E", "-c", "1", "--without-gossip", "--without-mingle")
    state = client.events.State()

    with client.events.Receiver(handlers={"*": state.event}) as receiver:
        results = [
            client.send_task(f"proj.{name}", args) for name, args in (("add", [2, 2]), ("again", []), ("telling", [3]))
        ]
        ends = {results[0].id: "task-succeeded", results[1].id: "task-failed", results[2].id: "task-succeeded"}
        for event in receiver.itercapture(timeout=DEADLINE_S):
            if ends.get(event.get("uuid", "")) == event["type"]:
                del ends[event["uuid"]]
            if not ends and state.workers["w1@host"].sw_ident:
                break

    added, again, told = (state.tasks[result.id] for result in results)
    assert (added.state, added.name, added.result, added.hostname) == ("SUCCESS", "proj.add", "4", "w1@host")
    assert (again.state, again.exception, again.retries) == ("FAILURE", "KeyError('k')", 1)
    assert (told.state, told.client) == ("SUCCESS", added.client)
    worker = state.workers["w1@host"]
    assert (worker.sw_ident, worker.alive) == ("py-celery", True)


def test_our_events_have_the_fields_of_celerys(client: Celery, theirs: CeleryProject, ours: OurProject) -> None:
    """The same calls, one worker after the other: type by type the same fields, in the same order."""

    def life(project: CeleryProject | OurProject) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = {}
        with client.events.Receiver() as receiver:
            worker = project.worker("-E", "-c", "1", *options[project.package], name="w1@host")
            ends = {client.send_task(f"proj.{name}", args).id: end for name, args, end in calls}
            for event in receiver.itercapture(timeout=DEADLINE_S, wakeup=False):
                fields.setdefault(event["type"], [name for name in event if name != "local_received"])
                if ends.get(event.get("uuid", "")) == event["type"]:
                    del ends[event["uuid"]]
                    if not ends:
                        worker.process.terminate()
                if event["type"] == "worker-offline":
                    break
            worker.ends()
        return fields

    options: dict[str, Any] = {"celery": ("--without-gossip", "--without-mingle"), "celery_rs": ()}
    calls: list[tuple[str, list[Any], str]] = [
        ("add", [2, 2], "task-succeeded"),
        ("fail", [], "task-failed"),
        ("again", [], "task-failed"),
        ("telling", [3], "task-succeeded"),
    ]

    assert life(ours) == life(theirs)


def test_worker_and_dump_go_on_when_the_broker_was_away(tmp_path: Path) -> None:
    port = free_port()
    with OurProject(tmp_path / "ours", f"redis://127.0.0.1:{port}/0") as ours:
        with redis_server(tmp_path, port=port):
            worker = ours.worker("-E", "-c", "1", "--heartbeat-interval", "0.1")
            dump = ours.start("-A", "proj", "events", "--dump")
            dump.wait_for("heartbeat:")
        worker.wait_for("they wait until the broker is back")
        dump.wait_for("trying again in")
        seen = len(dump.lines)

        with redis_server(tmp_path, port=port):
            eventually(lambda: any("heartbeat:" in line for line in dump.lines[seen:]), lambda: dump.output)
            assert ours.run("call", "proj.add", "-a", "[2, 2]").returncode == 0
            dump.wait_for("task succeeded: proj.add(")
            worker.process.terminate()
            assert worker.ends() == 0
            dump.wait_for("shutdown:")
