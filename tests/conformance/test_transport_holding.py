"""What a consumer may do with a message that it holds, and that it may do nothing once it no longer does."""

import pytest

from celery_rs.backends.disabled import DisabledBackend
from celery_rs.backends.memory import MemoryBackend
from celery_rs.errors import OperationalError
from celery_rs.transports import Burial, Completion
from celery_rs.transports.faults import Faults
from celery_rs.wire import ChordPart, TaskResult
from tests.conformance.calls import call, ids
from tests.conformance.worlds import deliveries

SUCCESS = TaskResult("a", "SUCCESS", 0, b'{"status": "SUCCESS"}')


def test_a_finished_message_is_gone(world, take, consumer):
    tag = take("a").tag

    assert list(consumer.finish([Completion(tag)])) == ["committed"]

    assert world.find("a") is None
    assert not consumer.receive(10, 0).deliveries


def test_finish_publishes_stores_counts_and_settles(world, backend, take, consumer):
    assert consumer.commits(backend)
    backend.open_chord("group", 1)
    part = ChordPart("group", "a", 0, "SUCCESS", b"1")
    tag = take("a").tag

    verdicts = consumer.finish([Completion(tag, followups=[call("b"), call("c", "other")], record=SUCCESS, part=part)])

    assert list(verdicts) == ["committed"]
    assert world.find("a") is None
    assert ids(consumer.receive(10, 0).deliveries) == ["b"]
    assert ids(world.consume("other").receive(10, 0).deliveries) == ["c"]
    assert backend.fetch(["a"]) == {"a": SUCCESS}
    (claim,) = backend.claim_chords([part], 10.0)
    assert list(claim.parts) == [part]


def test_a_consumer_commits_only_to_the_store_beside_its_broker(world, consumer):
    assert not consumer.commits(DisabledBackend())
    assert not consumer.commits(MemoryBackend("somewhere else"))


def test_a_lost_completion_publishes_nothing(world, take, consumer):
    tag = take("a").tag
    consumer.finish([Completion(tag)])

    assert list(consumer.finish([Completion(tag, followups=[call("b")])])) == ["lost"]

    assert world.find("b") is None


def test_a_lost_completion_leaves_no_trace(world, backend, take, consumer):
    backend.open_chord("group", 1)
    part = ChordPart("group", "a", 0, "SUCCESS", b"1")
    tag = take("a").tag
    consumer.finish([Completion(tag)])

    verdicts = consumer.finish([Completion(tag, followups=[call("b")], record=SUCCESS, part=part)])

    assert list(verdicts) == ["lost"]
    assert world.find("b") is None
    assert backend.fetch(["a"]) == {}
    assert not backend.claim_chords([part._replace(task_id="x", group="another")], 10.0)
    backend.open_chord("group", 2)
    assert not backend.claim_chords([part._replace(task_id="x")], 10.0), "the lost part was counted"


def test_each_completion_of_a_batch_has_its_own_verdict(world, take, consumer):
    tags = [take("a").tag, "nobody.1.1", take("b").tag]

    assert list(consumer.finish([Completion(tag) for tag in tags])) == ["committed", "lost", "committed"]

    assert world.find("a") is None
    assert world.find("b") is None


def test_a_record_that_would_go_backwards_does_not_keep_the_message(transport, backend, take, consumer):
    backend.store([SUCCESS])

    verdicts = consumer.finish(
        [Completion(take("a").tag, record=TaskResult("a", "FAILURE", 3, b'{"status": "FAILURE"}'))]
    )

    assert list(verdicts) == ["committed"]
    assert backend.fetch(["a"]) == {"a": SUCCESS}


@pytest.mark.needs("once")
def test_followups_that_were_published_before_are_not_published_again(transport, send, take, consumer):
    tag = take("a").tag
    send("b", once="followup", queue="followups")

    consumer.finish([Completion(tag, followups=[call("b", "followups", once="followup")])])

    assert transport.queues(["followups"])["followups"].ready == 1


@pytest.mark.needs("places")
def test_followups_are_published_in_the_order_of_the_batch(send, consumer):
    send("a", "b")
    tags = [delivery.tag for delivery in consumer.receive(2, 0).deliveries]

    consumer.finish([Completion(tag, followups=[call(f"{tag}>0"), call(f"{tag}>1")]) for tag in tags])

    assert ids(consumer.receive(10, 0).deliveries) == [f"{tag}>{n}" for tag in tags for n in range(2)]


def test_followups_for_later_wait(world, take, consumer):
    consumer.finish([Completion(take("a").tag, followups=[call("a", not_before=world.now() + 60)])])

    found = world.find("a")
    assert found is not None
    assert found.state == "delayed"


def test_a_followup_that_cannot_be_routed_becomes_a_dead_letter(transport, backend, take, consumer):
    tag = take("a").tag

    verdicts = consumer.finish([Completion(tag, followups=[call("b", "key", exchange="nowhere"), call("c")])])

    assert list(verdicts) == ["committed"]
    (letter,) = transport.dead.page().letters
    assert (letter.task_id, letter.queue, letter.reason) == ("b", "key", "unroutable")
    assert "'nowhere'" in letter.detail
    assert ids(consumer.receive(10, 0).deliveries) == ["c"]


def test_a_completion_named_twice_is_committed_once(world, take, consumer):
    tag = take("a").tag

    verdicts = consumer.finish([Completion(tag, followups=[call("b")]), Completion(tag, followups=[call("c")])])

    assert list(verdicts) == ["committed", "lost"]
    assert world.find("b") is not None
    assert world.find("c") is None


def test_a_rejected_message_becomes_a_dead_letter(transport, take, consumer):
    assert list(consumer.finish([Completion(take("a").tag, "rejected")])) == ["committed"]

    (letter,) = transport.dead.page().letters
    assert (letter.task_id, letter.queue, letter.reason) == ("a", "q", "rejected")


def test_a_tag_of_another_consumer_is_refused(take, consumer, other):
    tag = take("a").tag

    assert list(other.finish([Completion(tag, followups=[call("b")])])) == ["lost"]
    assert list(other.begin([tag])) == [tag]
    assert list(other.holds([tag])) == []
    other.give_back([tag])
    other.defer({tag: 0.0})
    other.bury({tag: Burial("reason", "detail")})

    assert list(consumer.holds([tag])) == [tag]


@pytest.mark.parametrize("tag", ["", "no tag", "a.b.c", "1.1.1", "\u2603.1.99999999999999999999", "x.-1.0"])
def test_a_tag_that_never_was_is_refused(take, consumer, tag):
    held = take("a").tag

    assert list(consumer.finish([Completion(tag)])) == ["lost"]
    assert list(consumer.begin([tag])) == [tag]
    assert list(consumer.holds([tag])) == []

    assert list(consumer.holds([held])) == [held]


def test_tags_are_never_used_again(take, consumer):
    first = take("a").tag
    consumer.give_back([first])
    (again,) = consumer.receive(10, 0).deliveries
    consumer.finish([Completion(again.tag)])
    third = take("b").tag

    assert len({first, again.tag, third}) == 3
    assert list(consumer.finish([Completion(first), Completion(again.tag)])) == ["lost", "lost"]
    assert list(consumer.holds([third])) == [third]


def test_begin_reports_what_is_no_longer_held(take, consumer):
    held, finished = take("a").tag, take("b").tag
    consumer.finish([Completion(finished)])

    assert list(consumer.begin([held, finished])) == [finished]


def test_begin_may_be_repeated(take, consumer):
    tag = take("a").tag

    assert list(consumer.begin([tag])) == []
    assert list(consumer.begin([tag])) == []
    assert list(consumer.finish([Completion(tag)])) == ["committed"]


@pytest.mark.parametrize(("late", "state"), [(False, "begun"), (True, "held")])
def test_begun_work_stays_on_record(world, take, consumer, late, state):
    consumer.begin([take("a").tag], late=late)

    found = world.find("a")
    assert (found.state, found.holder) == (state, consumer.name)


@pytest.mark.needs("places")
def test_what_is_given_back_keeps_its_place(send, consumer):
    send("a", "b", "c", "d")
    tags = [delivery.tag for delivery in consumer.receive(3, 0).deliveries]

    consumer.give_back(tags)

    assert ids(consumer.receive(10, 0).deliveries) == ["a", "b", "c", "d"]


@pytest.mark.needs("places")
def test_what_is_given_back_later_keeps_its_place_too(world, send, consumer):
    send("a", "b", "c")
    tags = [delivery.tag for delivery in consumer.receive(2, 0).deliveries]

    consumer.give_back(tags[:1])
    consumer.give_back(tags[1:])

    assert ids(consumer.receive(10, 0).deliveries) == (["a", "b", "c"] if world.keeps_places else ["b", "a", "c"])


@pytest.mark.needs("on demand")
def test_what_is_given_back_to_the_end_comes_last(send, consumer):
    send("a", "b", "c")
    tags = [delivery.tag for delivery in consumer.receive(2, 0).deliveries]

    consumer.give_back(tags[:1], front=False)
    consumer.give_back(tags[1:])

    assert ids(consumer.receive(10, 0).deliveries) == ["b", "c", "a"]


@pytest.mark.needs("priorities")
def test_what_is_given_back_keeps_its_priority(world, send, take, consumer):
    low, _, high = world.priorities
    tag = take("low", priority=low).tag
    send("high", priority=high)

    consumer.give_back([tag])

    assert ids(consumer.receive(10, 0).deliveries) == ["high", "low"]


def test_giving_back_is_no_delivery_and_no_crash(world, take, consumer):
    consumer.give_back([take("a").tag])

    (again,) = consumer.receive(10, 0).deliveries
    assert (again.redelivered, again.crashes, again.deliveries) == (True, 0, deliveries(world, 1))


def test_giving_back_after_a_crash_counts_it(world, take, consumer):
    consumer.give_back([take("a").tag], crashed=True)
    (again,) = consumer.receive(10, 0).deliveries
    assert (again.redelivered, again.crashes, again.deliveries) == (True, 1, deliveries(world, 2))

    consumer.begin([again.tag], late=True)
    consumer.give_back([again.tag], crashed=True)
    (third,) = consumer.receive(10, 0).deliveries
    assert (third.crashes, third.deliveries) == (2, deliveries(world, 3))


def test_a_deferred_message_arrives_when_it_is_due(world, take, consumer):
    consumer.defer({take("a").tag: world.now() + world.moment})

    found = world.find("a")
    assert (found.state, found.holder) == ("delayed", None)
    assert not consumer.receive(10, 0).deliveries

    world.pass_time(1.1 * world.moment)
    (again,) = consumer.receive(10, 0).deliveries
    assert (again.crashes, again.deliveries) == (0, 1)


def test_a_message_deferred_to_the_past_arrives_at_once(world, take, consumer):
    consumer.defer({take("a").tag: world.now() - 1})

    assert ids(consumer.receive(10, 0).deliveries) == ["a"]


@pytest.mark.needs("replies")
def test_a_lost_reply_is_repaired_by_the_next_receive(world, send):
    faults = Faults()
    consumer = world.consume("q", faults=faults)
    send("a", "b")
    faults.drop_replies = 1
    with pytest.raises(OperationalError):
        consumer.receive(10, 0)

    received = consumer.receive(10, 0)

    assert ids(received.deliveries) == ["a", "b"]
    assert all(delivery.redelivered for delivery in received.deliveries)
    assert not received.lost


@pytest.mark.needs("replies")
def test_what_was_held_before_a_lost_reply_stays_held(world, send):
    faults = Faults()
    consumer = world.consume("q", faults=faults)
    send("a")
    (held,) = consumer.receive(10, 0).deliveries
    send("b")
    faults.drop_replies = 1
    with pytest.raises(OperationalError):
        consumer.receive(10, 0)

    (repaired,) = consumer.receive(10, 0).deliveries

    assert list(consumer.holds([held.tag])) == [held.tag]
    assert list(consumer.finish([Completion(held.tag), Completion(repaired.tag)])) == ["committed", "committed"]


@pytest.mark.needs("replies")
def test_a_lost_reply_starts_a_new_epoch(world, send):
    faults = Faults()
    consumer = world.consume("q", faults=faults)
    send("a")
    faults.drop_replies = 2
    for _ in range(2):
        with pytest.raises(OperationalError):
            consumer.receive(10, 0)

    (delivery,) = consumer.receive(10, 0).deliveries

    consumer_name, epoch, _ = delivery.tag.split(".")
    assert consumer_name == consumer.name
    assert int(epoch) >= 3


def test_a_burial_stores_its_record(backend, take, consumer):
    failure = TaskResult("a", "FAILURE", 0, b'{"status": "FAILURE"}')
    assert consumer.commits(backend)

    consumer.bury({take("a").tag: Burial("reason", "detail", failure)})

    assert backend.fetch(["a"]) == {"a": failure}


def test_a_buried_message_is_a_dead_letter(world, transport, take, consumer):
    consumer.bury({take("a", task="proj.add").tag: Burial("unregistered", "no task 'proj.add'")})

    (letter,) = transport.dead.page().letters
    assert (letter.queue, letter.task, letter.task_id) == ("q", "proj.add", "a")
    assert (letter.reason, letter.detail) == ("unregistered", "no task 'proj.add'")
    assert (letter.crashes, letter.deliveries) == (0, 1)
    assert world.find("a").state == "dead"
    assert not consumer.receive(10, 0).deliveries


def test_begun_work_can_be_buried(world, take, consumer):
    tag = take("a").tag
    consumer.begin([tag])

    consumer.bury({tag: Burial("reason", "detail")})

    assert world.find("a").state == "dead"
    assert list(consumer.finish([Completion(tag)])) == ["lost"]
