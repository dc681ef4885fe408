"""Workers of both on one RabbitMQ: each message runs once, whoever takes it, whoever defers it and whoever dies."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.deadlines import eventually
from tests.interop.fleet import Fleet, kill

pytestmark = pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)

TASKS = {"classic": 2000, "quorum": 500}
SOON = {"begun_ttl_s": 0.2, "reconnect_grace_s": 0.5}
"""What a killed worker of ours ran is looked at sooner than by default."""
DEFERRED_S = 20.0
"""Until then both clients have sent and our worker has deferred; what is due within three seconds it keeps itself."""
MakeFleet = Callable[..., "RabbitFleet"]


class RabbitFleet(Fleet):
    """Both sides on one RabbitMQ, which can be asked."""

    def __init__(self, folder: Path, broker: str, store: str, queue_arguments: Mapping[str, object]) -> None:
        settings = {
            "result_backend": store, "queue_arguments": dict(queue_arguments), "broker_transport_options": SOON
        }  # fmt: skip
        super().__init__(folder, broker, settings)
        self._connection = pika.BlockingConnection(pika.URLParameters(broker))

    def waiting(self, queue: str = "celery") -> int:
        """How many messages lie in a queue and are with nobody."""
        channel: BlockingChannel = self._connection.channel()
        try:
            return int(channel.queue_declare(queue, passive=True).method.message_count)
        finally:
            channel.close()

    def copy_what_goes_to(self, exchange: str) -> None:
        """From now on, to the queue `copy` as well."""
        channel: BlockingChannel = self._connection.channel()
        channel.queue_declare("copy")
        channel.queue_bind("copy", exchange, "#")
        channel.close()

    def close(self) -> None:
        self.__exit__(None, None, None)
        self._connection.close()


@pytest.fixture
def make_fleet(tmp_path: Path, broker: str, store: str) -> Iterator[MakeFleet]:
    """Arguments of all queues → both sides."""
    made: list[RabbitFleet] = []

    def make(queue_type: str = "classic", **arguments: object) -> RabbitFleet:
        made.append(RabbitFleet(tmp_path, broker, store, {"x-queue-type": queue_type, **arguments}))
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


@pytest.mark.parametrize("queue_type", TASKS)
def test_a_queue_of_two_kinds_of_workers_runs_each_task_once(make_fleet: MakeFleet, queue_type: str) -> None:
    fleet, tasks = make_fleet(queue_type), TASKS[queue_type]
    theirs = fleet.their_worker("-c", "2", wait=False)
    fleet.our_worker("-c", "2")
    theirs.wait_for(" ready.")

    fleet.ours.python(f"from proj import mark\nfor number in range({tasks}): mark.delay(f't{{number}}')")

    eventually(lambda: len(fleet.journal()) >= tasks, lambda: f"{len(fleet.journal())} ran")
    assert {side for _, side, _ in fleet.journal()} == {"celery", "celery_rs"}
    theirs.stop()
    fleet.ours.running[-1].stop()
    assert fleet.marked() == {f"t{number}": 1 for number in range(tasks)}
    assert fleet.waiting() == 0


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_a_worker_serves_its_queues_alone_and_the_highest_number_first(make_fleet: MakeFleet, side: str) -> None:
    fleet = make_fleet(**{"x-max-priority": 9})
    sender, server = (fleet.ours, fleet.their_worker) if side == "theirs" else (fleet.theirs, fleet.our_worker)
    sender.python(
        "from proj import mark\n"
        "mark.delay('unserved')\n"
        "for priority in (3, 5, 9, 0, 6): mark.apply_async((f'p{priority}',), queue='other', priority=priority)"
    )
    eventually(lambda: fleet.waiting("other") == 5)

    server("-c", "1", "-Q", "other", wait=False)

    eventually(lambda: len(fleet.journal()) >= 5)
    assert [word for word, *_ in fleet.journal()] == ["p9", "p6", "p5", "p3", "p0"]
    assert fleet.waiting() == 1


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
@pytest.mark.parametrize("killed", ["theirs", "ours"])
def test_what_a_killed_worker_ran_runs_with_the_other_kind(make_fleet: MakeFleet, killed: str, queue_type: str) -> None:
    fleet = make_fleet(queue_type)
    first, second = fleet.their_worker, fleet.our_worker
    if killed == "ours":
        first, second = second, first
    doomed = first("-c", "1", "-Q", "other", wait=False)
    fleet.theirs.python("from proj import hold\nhold.apply_async(('a',), queue='other')")
    fleet.wait_for_lines("began", "a")
    kill(doomed)
    fleet.let_go("a")

    second("-c", "1", "-Q", "other", wait=False)

    fleet.wait_for_lines("ended", "a", second_side(killed))
    first_began, *again = [line[2] for line in fleet.journal() if line[0] == "began"]
    assert (first_began, set(again)) == (first_side(killed), {second_side(killed)})


def first_side(killed: str) -> str:
    return "celery" if killed == "theirs" else "celery_rs"


def second_side(killed: str) -> str:
    return "celery_rs" if killed == "theirs" else "celery"


# Delays


def test_celery_runs_what_ours_deferred_when_all_of_ours_are_gone(make_fleet: MakeFleet) -> None:
    """What waits for its time lies on our ladder, from which the broker itself brings it to its queue."""
    fleet = make_fleet()
    worker = fleet.our_worker("-c", "1")
    sent = (
        "from datetime import UTC, datetime\n"
        "from time import time\n"
        "from proj import flaky, mark\n"
        f"due = time() + {DEFERRED_S}\n"
        "for number in range(50):\n"
        "    mark.apply_async((f'{NAME}{number}',), eta=datetime.fromtimestamp(due, UTC))\n"
        f"flaky.apply_async((1, {DEFERRED_S}))\n"
        "say(due)"
    )
    due = min(
        float(fleet.ours.python(f"NAME = 'ours'\n{sent}")),
        float(fleet.theirs.python(f"NAME = 'theirs'\n{sent}")),
    )
    fleet.wait_for_lines("flaky", count=2)
    eventually(lambda: fleet.waiting() == 0)

    worker.stop()
    assert not fleet.marked()
    fleet.their_worker("-c", "2", wait=False)

    eventually(lambda: len(fleet.marked()) >= 100, lambda: f"{len(fleet.marked())} ran")
    fleet.wait_for_lines("flaky", count=4)
    assert fleet.marked() == {f"{name}{number}": 1 for number in range(50) for name in ("ours", "theirs")}
    marks = [line for line in fleet.journal() if line[0] != "flaky"]
    assert {side for _, side, _ in marks} == {"celery"}
    assert min(float(at) for _, _, at in marks) >= due - 0.01
    assert sorted(line[2] for line in fleet.journal() if line[0] == "flaky") == ["0", "0", "1", "1"]


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_celerys_own_ladder_carries_what_one_sends_to_the_other(make_fleet: MakeFleet, side: str) -> None:
    """Where queues are quorum queues, to exchanges that are not direct."""
    fleet = make_fleet("quorum")
    sender, server = (fleet.ours, fleet.their_worker) if side == "theirs" else (fleet.theirs, fleet.our_worker)
    server("-c", "1")
    fleet.copy_what_goes_to("celery_delayed_27")

    due = sender.python(
        "import time\n"
        "from proj import mark\n"
        "due = time.time() + 5.0\n"
        "mark.apply_async(('a',), queue='logs', routing_key='logs.disk.full', countdown=5.0)\n"
        "say(due)"
    )

    eventually(fleet.marked)
    eventually(lambda: fleet.waiting("copy") == 1)
    ((word, _, at),) = fleet.journal()
    assert word == "a"
    assert float(at) >= due - 0.01
