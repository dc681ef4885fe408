"""Workers of both on one Redis: each message runs once, whoever takes it and whoever dies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import eventually
from tests.interop.fleet import RedisFleet, kill

pytestmark = pytest.mark.parametrize("broker", ["redis"], indirect=True)

TASKS = 5000
DEFERRED_S = 7.0
"""A worker of ours keeps what is due within three seconds itself."""
MakeFleet = Callable[..., RedisFleet]


@pytest.fixture
def make_fleet(tmp_path: Path, broker: str) -> Iterator[MakeFleet]:
    """Transport options → both sides."""
    made: list[RedisFleet] = []

    def make(**options: Any) -> RedisFleet:
        made.append(RedisFleet(tmp_path, broker, **options))
        return made[-1]

    yield make
    for fleet in made:
        fleet.__exit__(None, None, None)


def test_a_queue_of_two_kinds_of_workers_runs_each_task_once(make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    theirs = fleet.their_worker("-c", "2", wait=False)
    fleet.our_worker("-c", "2")
    theirs.wait_for(" ready.")

    fleet.ours.python(f"from proj import mark\nfor number in range({TASKS}): mark.delay(f't{{number}}')")

    eventually(lambda: len(fleet.journal()) >= TASKS, lambda: f"{len(fleet.journal())} ran")
    eventually(lambda: not fleet.call(b"ZCARD", b"unacked_index"))
    assert fleet.marked() == {f"t{number}": 1 for number in range(TASKS)}
    assert {side for _, side, _ in fleet.journal()} == {"celery", "celery_rs"}


def test_celery_runs_what_was_published_many_at_once(make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    fleet.their_worker("-c", "2")

    fleet.ours.python("from proj import app, mark\napp.publish_many(mark.s(f't{number}') for number in range(2500))")

    eventually(lambda: len(fleet.journal()) >= 2500, lambda: f"{len(fleet.journal())} ran")
    assert fleet.marked() == {f"t{number}": 1 for number in range(2500)}


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_a_worker_serves_its_queues_alone_and_the_lowest_number_first(make_fleet: MakeFleet, side: str) -> None:
    fleet = make_fleet()
    sender, server = (fleet.ours, fleet.their_worker) if side == "theirs" else (fleet.theirs, fleet.our_worker)
    sender.python(
        "from proj import mark\n"
        "mark.delay('unserved')\n"
        "for priority in (9, 5, 6, 0, 3): mark.apply_async((f'p{priority}',), queue='other', priority=priority)"
    )

    server("-c", "1", "-Q", "other", wait=False)

    eventually(lambda: len(fleet.journal()) >= 5)
    # 5 is served with 3, in the order of sending.
    assert [word for word, *_ in fleet.journal()] == ["p0", "p5", "p3", "p6", "p9"]
    assert fleet.waiting("celery") == 1


def test_a_short_visibility_timeout_restores_nothing_of_ours(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(visibility_timeout=4)
    theirs = fleet.their_worker("-c", "1", "-Q", "celery", wait=False)
    fleet.our_worker("-c", "1", "-Q", "other")
    theirs.wait_for(" ready.")

    fleet.ours.python(
        "from proj import hold, mark\n"
        "hold.apply_async(('long', 6.5), queue='other')\n"
        "for number in range(20): mark.apply_async((f't{number}',), queue='other', countdown=5 + number / 10)"
    )

    fleet.wait_for_lines("ended", "long")
    eventually(lambda: len(fleet.marked()) >= 20)
    eventually(lambda: not fleet.call(b"ZCARD", b"unacked_index"))
    assert fleet.waiting("other") == 0
    assert fleet.marked() == {f"t{number}": 1 for number in range(20)}
    assert [line[:3] for line in fleet.journal() if line[0] == "began"] == [["began", "long", "celery_rs"]]


@pytest.mark.parametrize("restored_by", ["theirs", "ours"])
def test_what_a_killed_celery_worker_held_runs_elsewhere(make_fleet: MakeFleet, restored_by: str) -> None:
    fleet = make_fleet(visibility_timeout=3)
    doomed = fleet.their_worker("-P", "solo", "-Q", "other", wait=False)
    fleet.theirs.python("from proj import hold\nhold.apply_async(('a',), queue='other')")
    fleet.wait_for_lines("began", "a")
    kill(doomed)
    fleet.let_go("a")
    if restored_by == "theirs":
        fleet.their_worker("-P", "solo", "-Q", "celery", name="sweeper@host", wait=False)
        eventually(lambda: fleet.waiting("other") == 1)

    fleet.our_worker("-c", "1", "-Q", "other", wait=False)

    fleet.wait_for_lines("ended", "a")
    eventually(lambda: not fleet.call(b"ZCARD", b"unacked_index"))
    began = [line for line in fleet.journal() if line[0] == "began"]
    assert began == [["began", "a", "celery", "False"], ["began", "a", "celery_rs", "True"]]


# The way back


def defer(fleet: RedisFleet, seconds: float) -> float:
    """Have a worker of ours defer 100 tasks and a retry, all due at the time that is returned or later."""
    fleet.our_worker("-c", "1")
    due = float(
        fleet.ours.python(
            "from datetime import UTC, datetime\n"
            "from time import time\n"
            "from proj import flaky, mark\n"
            f"due = time() + {seconds!r}\n"
            "eta = datetime.fromtimestamp(due, UTC)\n"
            "for number in range(100): mark.apply_async((f't{number}',), eta=eta)\n"
            f"flaky.apply_async((1, {seconds!r}))\n"
            "say(due)"
        )
    )
    eventually(lambda: fleet.deferred() == 101, lambda: f"{fleet.deferred()} were deferred, {fleet.journal()}")
    assert not fleet.marked()
    return due


def assert_celery_runs_them_all(fleet: RedisFleet, due: float) -> None:
    eventually(lambda: len(fleet.marked()) >= 100, lambda: f"{len(fleet.marked())} ran")
    fleet.wait_for_lines("flaky", count=2)
    eventually(lambda: not fleet.call(b"ZCARD", b"unacked_index"))
    assert fleet.marked() == {f"t{number}": 1 for number in range(100)}
    marks = [line for line in fleet.journal() if line[0].startswith("t")]
    assert {side for _, side, _ in marks} == {"celery"}
    assert min(float(at) for _, _, at in marks) >= due - 0.01
    assert [line[2] for line in fleet.journal() if line[0] == "flaky"] == ["0", "1"], "it goes on with its retries"


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_celery_runs_what_our_workers_deferred_when_all_of_them_are_gone(make_fleet: MakeFleet, end: str) -> None:
    fleet = make_fleet()
    due = defer(fleet, DEFERRED_S)

    kill(fleet.ours.running[-1]) if end == "killed" else fleet.ours.running[-1].stop()
    fleet.their_worker("-c", "2", wait=False)

    assert_celery_runs_them_all(fleet, due)


def test_handback_leaves_everything_to_celery_and_no_key_of_ours(make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    due = defer(fleet, DEFERRED_S)
    fleet.ours.running[-1].stop()

    done = fleet.ours.run("handback")

    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "101 deferred messages" in done.stdout
    assert fleet.keys_of_ours() == []
    assert fleet.waiting() == 101
    fleet.their_worker("-c", "2", wait=False)
    assert_celery_runs_them_all(fleet, due)
    assert fleet.keys_of_ours() == []


def test_handback_refuses_while_a_worker_of_ours_lives_and_says_what_it_leaves(make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    worker = fleet.our_worker("-c", "1")
    fleet.theirs.python("app.send_task('proj.unknown')")
    eventually(lambda: fleet.call(b"HLEN", b"celery-rs.dead") == 1)

    refused = fleet.ours.run("handback")
    worker.stop()
    first = fleet.ours.run("handback")
    letters = fleet.keys_of_ours()
    second = fleet.ours.run("handback", "--dead")

    assert refused.returncode == 69
    assert "1 run (" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert first.returncode == 1
    assert "1 dead letter stay" in first.stderr
    assert letters
    assert all(key.startswith(b"celery-rs.dead") for key in letters)
    assert (second.returncode, second.stderr) == (0, "")
    assert fleet.keys_of_ours() == []
    assert fleet.waiting() == 1
