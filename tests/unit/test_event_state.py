"""What a monitor knows by events: `app.events.State`."""

import threading
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celery_rs import states
from celery_rs.events import State
from tests.deadlines import DEADLINE_S


def told(type: str, at: float, uuid: str = "id-1", hostname: str = "w1@h", **fields: Any) -> dict[str, Any]:
    return {"type": type, "timestamp": at, "clock": int(at), "uuid": uuid, "hostname": hostname, "pid": 7, **fields}


LIFE = [
    told("task-sent", 1, hostname="gen1@h", name="proj.add", args="(2, 2)", queue="celery"),
    told("task-received", 2, name="proj.add", args="(2, 2)", kwargs="{}", retries=0),
    told("task-started", 3),
    told("task-progress", 3.5),
    told("task-succeeded", 4, result="4", runtime=0.5),
]


def test_a_task_goes_through_its_life() -> None:
    state = State()

    seen = []
    for event in LIFE:
        state.event(event)
        seen.append(state.tasks["id-1"].state)

    task = state.tasks["id-1"]
    assert seen == [states.PENDING, states.RECEIVED, states.STARTED, "PROGRESS", states.SUCCESS]
    assert (task.sent, task.received, task.started, task.succeeded) == (1, 2, 3, 4)
    assert (task.client, task.hostname, task.queue) == ("gen1@h", "w1@h", "celery")
    assert task.info() == {"args": "(2, 2)", "kwargs": "{}", "retries": 0, "result": "4", "runtime": 0.5}
    assert (task.ready, state.task_count, state.event_count) == (True, 1, 5)


@given(st.permutations(LIFE))
def test_the_order_in_which_events_come_does_not_matter(events: list[dict[str, Any]]) -> None:
    state = State()
    for event in events:
        state.event(event)

    task = state.tasks["id-1"]
    assert (task.state, task.name, task.result, task.timestamp) == (states.SUCCESS, "proj.add", "4", 4)


def test_a_task_that_is_retried_starts_over() -> None:
    state = State()
    for event in (*LIFE[:3], told("task-retried", 5, exception="KeyError('k')")):
        state.event(event)
    assert state.tasks["id-1"].state == states.RETRY

    state.event(told("task-received", 6, name="proj.add", retries=1))

    assert (state.tasks["id-1"].state, state.tasks["id-1"].retries) == (states.RECEIVED, 1)


def test_events_of_ones_own_name_the_state() -> None:
    state = State()

    about, what = state.event(told("task-progress", 1))

    assert (state.tasks["id-1"].state, what) == ("PROGRESS", "progress")
    assert about is state.tasks["id-1"]


def test_a_worker_is_alive_until_two_heartbeats_are_missing() -> None:
    state = State()
    now = time.time()
    state.event({"type": "worker-online", "hostname": "w1@h", "freq": 2.0, "active": 1, "local_received": now})
    state.event({"type": "worker-heartbeat", "hostname": "w2@h", "freq": 2.0, "local_received": now - 5})

    assert [worker.hostname for worker in state.alive_workers()] == ["w1@h"]
    assert (state.workers["w1@h"].active, state.workers["w2@h"].status_string) == (1, "OFFLINE")

    state.event({"type": "worker-offline", "hostname": "w1@h", "freq": 2.0})
    assert not state.workers["w1@h"].alive


def test_tasks_are_listed_by_time_type_and_worker() -> None:
    state = State()
    for number, (name, worker) in enumerate([("a", "w1@h"), ("b", "w2@h"), ("a", "w2@h")]):
        state.event(told("task-received", number, uuid=str(number), hostname=worker, name=name))

    assert [uuid for uuid, _ in state.tasks_by_time()] == ["2", "1", "0"]
    assert [uuid for uuid, _ in state.tasks_by_type("a")] == ["2", "0"]
    assert [uuid for uuid, _ in state.tasks_by_worker("w2@h", limit=1)] == ["2"]
    assert state.task_types() == ["a", "b"]
    assert state.counts() == {states.RECEIVED: 3}


def test_who_was_not_heard_of_for_longest_is_forgotten_first() -> None:
    state = State(max_tasks_in_memory=2, max_workers_in_memory=1)
    for uuid, worker in (("a", "w1@h"), ("b", "w1@h"), ("a", "w1@h"), ("c", "w2@h")):
        state.event(told("task-started", 1, uuid=uuid, hostname=worker))

    assert list(state.tasks) == ["a", "c"]
    assert list(state.workers) == ["w2@h"]


def test_what_has_ended_can_be_forgotten() -> None:
    state = State()
    for event in (*LIFE, told("task-started", 9, uuid="id-2")):
        state.event(event)

    state.clear(ready=False)
    assert (list(state.tasks), state.event_count) == (["id-2"], 0)

    state.clear()
    assert (list(state.tasks), list(state.workers)) == ([], [])


def test_events_without_a_task_or_a_worker_are_only_counted() -> None:
    state = State()

    assert state.event({"type": "task-sent", "uuid": 7}) == (None, "sent")
    assert state.event({"type": "worker-online"}) == (None, "online")
    assert state.event({}) == (None, "")
    assert (state.event_count, len(state.tasks)) == (3, 0)


def test_events_are_told_to_a_callback() -> None:
    heard: list[tuple[State, str]] = []
    state = State(callback=lambda state, event: heard.append((state, event["type"])))

    state.event(LIFE[0])

    assert heard == [(state, "task-sent")]


def test_a_frozen_state_takes_nothing_in() -> None:
    state = State()
    bringing = threading.Thread(target=state.event, args=[LIFE[0]])

    with state.freeze_while() as frozen:
        bringing.start()
        bringing.join(0.05)
        assert frozen.event_count == 0

    bringing.join(DEADLINE_S)
    assert state.event_count == 1
