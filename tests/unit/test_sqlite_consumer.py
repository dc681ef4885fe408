"""What is particular to the embedded broker's consumers: leases that are locks, epochs, rows and their ids."""

from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from celery_rs.transports import Burial, Completion, Outgoing, Route
from celery_rs.transports.faults import Faults
from celery_rs.transports.sqlite import Database, SqliteTransport
from celery_rs.transports.sqlite.messages import PROMOTED_MOST
from celery_rs.transports.sqlite.upkeep import Upkeep
from celery_rs.wire import TaskResult
from tests.conformance.calls import call, ids
from tests.messages import message
from tests.unit.sqlite_processes import process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def transport(path, faults):
    transport = SqliteTransport(Database(path), faults=faults)
    yield transport
    transport.close()


@pytest.fixture
def consumer(transport):
    consumer = transport.consume(["q"])
    yield consumer
    consumer.close()


@pytest.mark.parametrize("queues", [1, 3, 100, 1_000])
def test_what_is_urgent_then_what_is_old_comes_first_however_many_queues_there_are(transport, queues):
    names = [f"q{number}" for number in range(queues)]
    sent = [(f"id-{number}", 5 * (number % 7 == 0)) for number in range(50)]
    transport.publish([call(id, names[7 * n % queues], priority=priority) for n, (id, priority) in enumerate(sent)])
    consumer = transport.consume(names)

    received = ids(consumer.receive(30, 0.0).deliveries)
    received += ids(consumer.receive(30, 0.0).deliveries)

    assert received == [id for id, _ in sorted(sent, key=lambda each: -each[1])]
    consumer.close()


WORKER = """
t = open_transport(url, {})
consumer = t.consume(["q"])
late, early, held = [delivery.tag for delivery in consumer.receive(3, 5).deliveries]
consumer.begin([late], late=True)
consumer.begin([early])
say("holds", consumer.name)
"""


def test_a_killed_worker_is_recovered_at_once(path, transport, consumer):
    transport.publish([call("late"), call("early"), call("held")])
    with process(f"sqlite:///{path}", WORKER + "stay()") as worker:
        assert worker.hears()[0] == "holds"
        assert consumer.recover().returned == 0
        worker.kill()

        recovered = consumer.recover()

    assert recovered.returned == 2
    assert ids(recovered.orphans) == ["early"]
    late, held = consumer.receive(5, 0).deliveries
    assert (ids([late, held]), late.crashes, held.crashes) == (["late", "held"], 1, 0)
    assert late.redelivered
    assert (late.deliveries, held.deliveries) == (2, 2)


def test_nothing_of_a_killed_worker_is_left(path, transport, consumer):
    transport.publish([call("late"), call("early"), call("held")])
    with process(f"sqlite:///{path}", WORKER + "stay()") as worker:
        _, name = worker.hears()
        worker.kill()
        assert Path(f"{path}.d", name).exists()

        consumer.recover()

    assert sorted(file.name for file in Path(f"{path}.d").iterdir()) == [consumer.name, f"{consumer.name}.sock"]
    assert transport.queues(["q"])["q"].consumers == 1


def test_files_of_workers_that_were_killed_before_they_were_listed_are_swept(path, transport, consumer):
    script = """
t = open_transport(url, {})
consumer = t.consume(["q"])
bell = t.database.bell("left-behind")
with t.database.transaction() as tx:
    tx.execute("DELETE FROM consumers WHERE name LIKE ?", (f"{os.getpid()}-%",))
say("listens")
stay()
"""
    with process(f"sqlite:///{path}", script) as worker:
        worker.hears()
        Upkeep(transport.database).sweep(older_s=0.0)
        assert len(list(Path(f"{path}.d").iterdir())) == 5  # it lives
        worker.kill()

        Upkeep(transport.database).sweep(older_s=0.0)

    assert sorted(file.name for file in Path(f"{path}.d").iterdir()) == [consumer.name, f"{consumer.name}.sock"]


def test_a_stopped_worker_keeps_its_work_for_as_long_as_it_lives(path, transport, consumer):
    transport.publish([call("late"), call("early"), call("held")])
    script = """
sys.stdin.readline()
say(*consumer.finish([Completion(tag) for tag in (late, early, held)]), *consumer.renew())
"""
    with process(f"sqlite:///{path}", WORKER + script) as worker:
        assert worker.hears()[0] == "holds"
        worker.stop()

        assert consumer.recover().returned == 0
        assert consumer.receive(5, 0).deliveries == []

        worker.resume()
        worker.tell()
        assert worker.hears() == ["committed", "committed", "committed"]


def test_one_of_several_recovers_and_the_orphans_have_one_owner(path, transport, consumer):
    transport.publish([call("late"), call("early"), call("held")])
    others = [transport.consume(["q"]) for _ in range(3)]
    with process(f"sqlite:///{path}", WORKER + "stay()") as worker:
        assert worker.hears()[0] == "holds"
        worker.kill()

        recovered = [each.recover() for each in (consumer, *others)]

    assert sum(each.returned for each in recovered) == 2
    assert sum(len(each.orphans) for each in recovered) == 1
    for other in others:
        other.close()


def test_a_worker_that_was_taken_for_dead_learns_what_it_lost_and_goes_on(path, transport, consumer):
    transport.publish([call("late"), call("early"), call("held")])
    script = """
sys.stdin.readline()
say(*consumer.finish([Completion(tag) for tag in (late, early, held)]))
say(*sorted(consumer.renew()) == sorted((late, early, held)) and ["all"])
say(len(consumer.receive(1, 5).deliveries))
"""
    with process(f"sqlite:///{path}", WORKER + script) as worker:
        _, name = worker.hears()
        Path(f"{path}.d", name).unlink()  # somebody has cleared the directory

        assert consumer.recover().returned == 2

        worker.tell()
        assert worker.hears() == ["lost", "lost", "lost"]
        assert worker.hears() == ["all"]
        assert worker.hears() == ["1"]


def test_what_was_lost_is_told_although_the_housekeeping_fails(path, transport, consumer, monkeypatch):
    def fail() -> None:
        raise OperationalError("the disk is full")

    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, 0).deliveries
    Path(f"{path}.d", consumer.name).unlink()
    other = transport.consume(["q"])
    other.recover()
    other.close()
    with monkeypatch.context() as broken:
        broken.setattr(consumer._upkeep, "run", fail)
        with pytest.raises(OperationalError):
            consumer.renew()

    assert list(consumer.renew()) == [delivery.tag]


def test_a_lease_whose_file_was_removed_is_taken_again(path, transport, consumer):
    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, 0).deliveries
    Path(f"{path}.d", consumer.name).unlink()

    assert list(consumer.renew()) == []

    other = transport.consume(["q"])
    assert other.recover().returned == 0
    assert list(consumer.holds([delivery.tag])) == [delivery.tag]
    other.close()


def test_what_a_lost_reply_had_reserved_is_there_for_the_next_receive(transport, consumer, faults):
    transport.publish([call("a"), call("b")])
    (known,) = consumer.receive(1, 0).deliveries
    faults.drop_replies = 1
    with pytest.raises(OperationalError, match="reply was lost"):
        consumer.receive(1, 0)

    (again,) = consumer.receive(1, 0).deliveries

    assert ids([again]) == ["b"]
    assert again.redelivered
    assert again.tag.split(".")[1] > known.tag.split(".")[1]
    assert list(consumer.finish([Completion(known.tag), Completion(again.tag)])) == ["committed", "committed"]


def test_what_a_lost_reply_had_reserved_is_returned_by_a_worker_that_receives_no_more(transport, consumer, faults):
    transport.publish([call("a")])
    faults.drop_replies = 1
    with pytest.raises(OperationalError):
        consumer.receive(1, 0)

    consumer.renew()

    assert transport.queues(["q"])["q"].ready == 1


def test_a_tag_does_not_mean_a_later_message_with_the_same_row_id(path, transport, consumer):
    transport.publish([call("old")])
    (old,) = consumer.receive(1, 0).deliveries
    with transport.database.transaction() as tx:
        tx.execute("DELETE FROM messages")  # as if it had been taken over, run and finished elsewhere
    transport.publish([call("new")])

    received = consumer.receive(1, 0)

    (new,) = received.deliveries
    assert transport.database.read("SELECT id FROM messages") == [(1,)]
    assert list(received.lost) == [old.tag]
    assert list(consumer.finish([Completion(old.tag)])) == ["lost"]
    assert list(consumer.holds([new.tag])) == [new.tag]


def test_a_stale_tag_touches_nothing_after_a_lost_reply_either(transport, consumer, faults):
    transport.publish([call("old")])
    (old,) = consumer.receive(1, 0).deliveries
    with transport.database.transaction() as tx:
        tx.execute("DELETE FROM messages")
    transport.publish([call("new")])
    faults.drop_replies = 1
    with pytest.raises(OperationalError):
        consumer.receive(1, 0)

    # The file says that row 1 is held by this consumer, and this consumer still believes that row 1 is the old one.
    consumer.begin([old.tag])
    assert list(consumer.finish([Completion(old.tag)])) == ["lost"]

    assert ids(consumer.receive(1, 0).deliveries) == ["new"]


def test_a_batch_with_a_lost_tag_commits_the_others_only(path, transport, consumer):
    transport.publish([call("a"), call("b")])
    a, b = consumer.receive(2, 0).deliveries
    with transport.database.transaction() as tx:
        tx.execute("DELETE FROM messages WHERE task_id = 'a'")
    follow_a, follow_b = call("after a", "next"), call("after b", "next")

    verdicts = consumer.finish(
        [
            Completion(a.tag, followups=[follow_a], record=TaskResult("a", "SUCCESS", 0, b"{}")),
            Completion(b.tag, followups=[follow_b], record=TaskResult("b", "SUCCESS", 0, b"{}")),
        ]
    )

    assert list(verdicts) == ["lost", "committed"]
    assert transport.database.read("SELECT task_id FROM messages") == [("after b",)]
    assert transport.database.read("SELECT task_id FROM results") == [("b",)]


def test_a_finish_that_fails_leaves_everything_as_it_was(transport, consumer):
    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, 0).deliveries
    ((pages,),) = transport.database.read("PRAGMA page_count")
    transport.database.read(f"PRAGMA max_page_count = {pages}")
    record = TaskResult("a", "SUCCESS", 0, b"x" * 50_000)

    with pytest.raises(OperationalError, match="disk is full"):
        consumer.finish([Completion(delivery.tag, record=record, followups=[call("next")])])

    transport.database.read("PRAGMA max_page_count = 100000")
    assert transport.queues(["q"])["q"].ready == 0
    assert list(consumer.finish([Completion(delivery.tag, record=record)])) == ["committed"]


def test_a_long_queue_is_not_sorted_to_find_the_first_few(transport):
    plan = transport.database.read(
        "EXPLAIN QUERY PLAN SELECT id FROM messages WHERE state = 0 AND queue = 'q' ORDER BY priority DESC, id LIMIT 5"
    )

    assert [row[3] for row in plan] == ["SEARCH messages USING INDEX messages_ready (queue=?)"]


def test_several_queues_are_merged_by_priority_then_place(transport):
    transport.publish(
        [
            Outgoing(message(id=id, priority=priority), Route("", queue))
            for id, queue, priority in [("a", "x", 0), ("b", "y", 5), ("c", "y", 0), ("d", "x", 5), ("e", "z", 9)]
        ]
    )
    consumer = transport.consume(["x", "y"])

    assert ids(consumer.receive(3, 0).deliveries) == ["b", "d", "a"]
    assert ids(consumer.receive(3, 0).deliveries) == ["c"]
    consumer.close()


def test_burying_stores_the_record_in_the_same_step(transport, consumer):
    transport.publish([call("a")])
    (delivery,) = consumer.receive(1, 0).deliveries

    consumer.bury({delivery.tag: Burial("unknown-task", "no such task", TaskResult("a", "FAILURE", 0, b"{}"))})

    assert transport.database.read("SELECT task_id, state FROM results") == [("a", "FAILURE")]
    assert [letter.reason for letter in transport.dead.page().letters] == ["unknown-task"]


def test_what_is_due_goes_in_its_order_also_over_many_queues(path):
    now = [1_000_000.0]
    transport = SqliteTransport(Database(path, clock=lambda: now[0]))
    names = [f"q{number}" for number in range(500)]
    transport.publish([call(f"{n}", names[7 * n % 500], not_before=now[0] + 50 - n % 25) for n in range(50)])
    consumer = transport.consume(names)
    now[0] += 50

    received = ids(consumer.receive(50, 0).deliveries)

    assert received == [f"{n}" for n in sorted(range(50), key=lambda n: (-(n % 25), n))]
    consumer.close()
    transport.close()


def test_of_much_that_is_due_the_first_go_to_the_queue_at_once(path):
    now = [1_000_000.0]
    transport = SqliteTransport(Database(path, clock=lambda: now[0]))
    last = PROMOTED_MOST + 4
    transport.publish([call(f"{number}", not_before=now[0] + last - number) for number in range(last)])
    consumer = transport.consume(["q"])
    now[0] += last

    first = consumer.receive(2, 0).deliveries
    waiting = transport.database.read("SELECT task_id FROM messages WHERE state = 3 ORDER BY due")
    rest = consumer.receive(2 * last, 0).deliveries

    assert ids(first) == [f"{last - 1}", f"{last - 2}"]
    assert waiting == [("3",), ("2",), ("1",), ("0",)]
    assert ids(rest) == [f"{number}" for number in reversed(range(last - 2))]
    consumer.close()
    transport.close()
