"""Every implementation against one model, through whatever order of calls, faults and deaths hypothesis finds.

Three processes at most consume one queue; a fourth publishes and looks. After every step each message that was
acknowledged to its publisher is where the model says, exactly once, with its counters; and so is every record.
"""

import os
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from celery_rs import states
from celery_rs.errors import OperationalError
from celery_rs.transports import Burial, Completion, Consumer, Delivery, Tag
from celery_rs.transports.faults import Faults
from celery_rs.transports.memory import Broker
from celery_rs.transports.memory.consumer import MemoryConsumer
from celery_rs.wire import TaskResult
from tests.conformance.calls import call, ids, opened
from tests.conformance.rabbitmq import RabbitWorld
from tests.conformance.worlds import WORLDS
from tests.oracles.broker_model import GONE, BrokerModel, ModelConsumer

# Hundreds of databases are made and thrown away here.
MEMORY_DISK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

QUEUE = "q"
SLOTS = 3

SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

slots = st.integers(0, SLOTS - 1)
picks = st.lists(st.integers(0, 9), min_size=1, max_size=4)
seconds = st.floats(-5, 60, allow_nan=False).map(round)
record_states = st.sampled_from(["STARTED", "PROGRESS", "RETRY", "FAILURE", "REVOKED", "SUCCESS"])
records = st.none() | st.tuples(record_states, st.integers(0, 2))


class BrokerMachine(RuleBasedStateMachine):
    """Rules take numbers; a number chooses among what there is."""

    implementation: str

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY_DISK)
        self.world = WORLDS[self.implementation](Path(self.directory.name))
        self.transport = self.world.transport()
        self.backend = self.world.backend()
        low, _, high = self.world.priorities
        self.model = BrokerModel(
            self.world.now(),
            leases_by_clock=self.world.leases_by_clock,
            keeps_places=self.world.keeps_places,
            high_first=high > low,
        )
        self.consumers: list[Consumer] = []
        self.faults: dict[str, Faults] = {}
        self.tags: list[tuple[Tag, str]] = []
        """Every tag there ever was, and the id of its message."""
        self.best: dict[str, TaskResult] = {}
        self.numbers = count()

    @initialize()
    def open_first(self) -> None:
        for _ in range(SLOTS):
            self.open()

    def teardown(self) -> None:
        self.world.close()
        self.directory.cleanup()

    # Choosing

    def open(self) -> None:
        faults = Faults()
        consumer = self.world.consume(QUEUE, faults=faults)
        assert consumer.commits(self.backend)
        self.consumers.append(consumer)
        self.faults[consumer.name] = faults
        self.model.consumers[consumer.name] = ModelConsumer(consumer.name)

    def chosen(self, slot: int) -> Consumer:
        """A consumer that can act."""
        living = self.in_state("living")
        assume(living)
        return living[slot % len(living)]

    def in_state(self, state: str) -> list[Consumer]:
        return [consumer for consumer in self.consumers if self.model.consumers[consumer.name].state == state]

    def some_tags(self, consumer: Consumer, picks: Sequence[int]) -> list[Tag]:
        """Some of all tags there ever were, without repeats: its own come first, then what is stale or another's."""
        assume(self.tags)
        tags = sorted(
            (tag for tag, _ in reversed(self.tags)), key=lambda tag: not self.model.is_ours(consumer.name, tag)
        )
        return list(dict.fromkeys(tags[pick % len(tags)] for pick in picks))

    def id_of(self, tag: Tag) -> str:
        return dict(self.tags)[tag]

    def record_of(self, tag: Tag, record: tuple[str, int] | None) -> TaskResult | None:
        if record is None:
            return None
        state, attempt = record
        return TaskResult(
            self.id_of(tag), state, attempt, b'{"status": "%b", "n": %d}' % (state.encode(), next(self.numbers))
        )

    # Publishing

    @rule(priority=st.sampled_from([0, 0, 0, 5]), many=st.integers(1, 3))
    def publish(self, priority: int, many: int) -> None:
        batch = [f"m{next(self.numbers)}" for _ in range(many)]

        self.transport.publish([call(id, QUEUE, priority=priority) for id in batch])

        for id in batch:
            self.model.publish(id, priority=priority)

    @rule(delay=seconds)
    def publish_for_later(self, delay: int) -> None:
        id, not_before = f"m{next(self.numbers)}", self.world.now() + delay

        self.transport.publish([call(id, QUEUE, not_before=not_before)])

        self.model.publish(id, not_before=not_before if self.world.delays_calls else None)

    @rule(key=st.sampled_from(["x", "y"]))
    def publish_once(self, key: str) -> None:
        id = f"m{next(self.numbers)}"

        self.transport.publish([call(id, QUEUE, once=key)])

        self.model.publish(id, once=key)

    @rule()
    def retry_the_dead(self) -> None:
        letters = self.transport.dead.page(limit=2).letters

        assert self.transport.dead.retry([letter.id for letter in letters]) == len(letters)

        for letter in letters:
            assert letter.task_id is not None
            self.model.retry_dead(letter.task_id)

    # Receiving

    @rule(slot=slots, limit=st.integers(0, 5))
    def receive(self, slot: int, limit: int) -> None:
        consumer = self.chosen(slot)

        received = consumer.receive(limit, 0)

        self.model.check_in(consumer.name)
        assert set(received.lost) == self.model.take_lost(consumer.name)
        self.note_received(consumer, received.deliveries, limit)

    @rule(slot=slots, limit=st.integers(1, 5))
    def lose_a_reply(self, slot: int, limit: int) -> None:
        consumer = self.chosen(slot)
        self.model.check_in(consumer.name)
        self.faults[consumer.name].drop_replies = 1

        with pytest.raises(OperationalError):
            consumer.receive(limit, 0)

        reserved = [
            message.id
            for message in self.model.in_place("ready")
            if (found := self.world.find(message.id)) and found.holder == consumer.name
        ]
        self.model.reserve(consumer.name, reserved, limit, reply_lost=True)

    def note_received(self, consumer: Consumer, deliveries: Sequence[Delivery], limit: int) -> None:
        self.model.reserve(consumer.name, ids(deliveries), limit)
        for delivery in deliveries:
            self.note_tag(delivery)
            message = self.model.messages[opened(delivery).id]
            assert delivery.queue == QUEUE
            assert delivery.redelivered == message.redelivered
            assert (delivery.crashes, delivery.deliveries) == (message.crashes, message.deliveries)

    def note_tag(self, delivery: Delivery) -> None:
        id = opened(delivery).id
        assert delivery.tag not in dict(self.tags), "tags are never used again"
        self.tags.append((delivery.tag, id))
        self.model.tag(id, delivery.tag)

    # Holding and ending

    @rule(slot=slots, picks=picks, late=st.booleans())
    def begin(self, slot: int, picks: list[int], late: bool) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)
        # Begun once means begun: a worker does not change its mind about how it acknowledges.
        assume(not (late and any(message.tag in tags for message in self.model.in_place("begun"))))

        not_ours = consumer.begin(tags, late=late)

        assert set(not_ours) == self.model.begin(consumer.name, tags, late=late)

    @rule(
        slot=slots,
        picks=picks,
        record=records,
        followups=st.integers(0, 2),
        rejected=st.sampled_from([False] * 4 + [True]),
    )
    def finish(
        self, slot: int, picks: list[int], record: tuple[str, int] | None, followups: int, rejected: bool
    ) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)
        # The ids of what follows depend on the task alone, so that a repeat names the same.
        following = {tag: [f"{self.id_of(tag)}>{position}" for position in range(followups)] for tag in tags}
        results = {tag: self.record_of(tag, record) for tag in tags}

        verdicts = consumer.finish(
            [
                Completion(
                    tag,
                    "rejected" if rejected else "done",
                    [call(id, QUEUE, once=id) for id in following[tag]],
                    results[tag],
                )
                for tag in tags
            ]
        )

        told = ["committed" if verdict == "unheard" else verdict for verdict in verdicts]
        assert told == [
            self.model.finish(
                consumer.name,
                tag,
                rejected=rejected,
                followups=[(id, id) for id in following[tag]],
                record=results[tag],
            )
            for tag in tags
        ]

    @rule(slot=slots, picks=picks, crashed=st.booleans(), front=st.booleans())
    def give_back(self, slot: int, picks: list[int], crashed: bool, front: bool) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks[: 4 if front else 1])

        consumer.give_back(tags, crashed=crashed, front=front)

        self.model.give_back(consumer.name, tags, crashed=crashed, front=front)

    @rule(slot=slots, picks=picks, delay=seconds)
    def defer(self, slot: int, picks: list[int], delay: int) -> None:
        consumer = self.chosen(slot)
        due = dict.fromkeys(self.some_tags(consumer, picks), self.world.now() + delay)

        consumer.defer(due)

        self.model.defer(consumer.name, due)

    @rule(slot=slots, picks=picks, record=records)
    def bury(self, slot: int, picks: list[int], record: tuple[str, int] | None) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)
        results = {tag: self.record_of(tag, record) for tag in tags}

        consumer.bury({tag: Burial("reason", "detail", results[tag]) for tag in tags})

        for tag in tags:
            self.model.bury(consumer.name, tag, results[tag])

    # Time, pauses and deaths

    @rule(duration=st.integers(1, 60))
    def time_passes(self, duration: int) -> None:
        self.pass_time(duration)

    def pass_time(self, duration: float) -> None:
        self.world.pass_time(duration)
        self.note_renewals()

    def note_renewals(self) -> None:
        """The world has renewed for the living, as their own threads would."""
        for consumer in self.model.consumers.values():
            if consumer.state == "living":
                self.model.check_in(consumer.name)
                consumer.lost.clear()
        self.model.advance(self.world.now())

    @rule(slot=slots)
    def renew(self, slot: int) -> None:
        consumer = self.chosen(slot)

        lost = consumer.renew()

        self.model.check_in(consumer.name)
        assert set(lost) == self.model.take_lost(consumer.name)

    @precondition(lambda self: self.model.only_the_living_hold())
    @rule(slot=slots, jump=st.sampled_from([600, 20, -3600]))
    def jump_the_clock(self, slot: int, jump: int) -> None:
        """Everybody's lease lapses at once, and one sweep runs before the first renewal: nobody dies of it."""
        consumer = self.chosen(slot)
        # Whether what was due before the clock went back is still due is nobody's promise.
        assume(jump > 0 or all(message.order is not None for message in self.model.in_place("ready")))
        assert not isinstance(self.world, RabbitWorld)
        self.world.clock.jump(jump)

        recovered = consumer.recover()

        assert (recovered.returned, list(recovered.orphans)) == (0, [])
        self.pass_time(0)

    @rule(slot=slots)
    def pause(self, slot: int) -> None:
        consumer = self.chosen(slot)

        self.world.pause(consumer)

        self.model.consumers[consumer.name].state = "paused"

    @precondition(lambda self: self.in_state("paused"))
    @rule(slot=slots)
    def resume(self, slot: int) -> None:
        paused = self.in_state("paused")
        consumer = paused[slot % len(paused)]

        self.world.resume(consumer)

        self.model.consumers[consumer.name].state = "living"

    @rule(slot=slots)
    def kill(self, slot: int) -> None:
        consumer = self.chosen(slot)

        self.world.kill(consumer)

        self.model.consumers[consumer.name].state = "dead"
        self.replace(consumer)

    @rule(slot=slots)
    def close(self, slot: int) -> None:
        consumer = self.chosen(slot)

        consumer.close()

        self.model.close(consumer.name)
        self.replace(consumer)

    def replace(self, consumer: Consumer) -> None:
        self.consumers.remove(consumer)
        self.open()

    @rule(slot=slots)
    def recover(self, slot: int) -> None:
        consumer = self.chosen(slot)

        recovered = self.world.recover(consumer)

        self.note_renewals()
        orphans = {opened(orphan).id: orphan.tag for orphan in recovered.orphans}
        assert len(orphans) == len(recovered.orphans)
        self.model.recover(consumer.name, recovered, orphans)
        for orphan in recovered.orphans:
            self.note_tag(orphan)

    # What must hold after every step

    @invariant()
    def broker_and_model_agree(self) -> None:
        self.every_message_is_where_it_should_be()
        self.no_message_is_there_twice()
        self.what_has_ended_is_held_by_nobody()
        self.results_never_go_backwards()

    def every_message_is_where_it_should_be(self) -> None:
        for message in self.model.messages.values():
            found = self.world.find(message.id)
            if message.place == "committed":
                assert found is None, (message, found)
                continue
            assert found is not None, message
            due = None if message.due is None else pytest.approx(message.due, abs=1e-3)
            assert (found.state, found.holder, found.due) == (message.place, message.holder, due), message
            assert (found.crashes, found.deliveries) == (message.crashes, message.deliveries), message

    def no_message_is_there_twice(self) -> None:
        info = self.transport.queues([QUEUE])[QUEUE]
        for place in ("ready", "delayed", "held", "begun", "dead"):
            assert getattr(info, place) == len(self.model.in_place(place)), place
        assert {letter.task_id for letter in self.transport.dead.page(limit=1000).letters} == {
            message.id for message in self.model.in_place("dead")
        }

    def what_has_ended_is_held_by_nobody(self) -> None:
        ended = {message.id for message in self.model.in_place(*GONE)}
        for consumer in self.in_state("living"):
            assert not consumer.holds([tag for tag, id in self.tags if id in ended])

    def results_never_go_backwards(self) -> None:
        stored = self.backend.fetch(list(self.model.messages))
        assert stored == self.model.records
        for task_id, before in self.best.items():
            now = stored[task_id]
            assert now.attempt >= before.attempt or now.state in states.READY_STATES
            assert before.state not in states.READY_STATES or now.state in states.READY_STATES
        self.best = stored


@pytest.mark.parametrize("implementation", [name for name, world in WORLDS.items() if not world.lacks])
def test_every_order_of_calls_faults_and_deaths_agrees_with_the_model(implementation: str) -> None:
    machine = type("Machine", (BrokerMachine,), {"implementation": implementation})

    run_state_machine_as_test(machine, settings=SETTINGS)


def without_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knows a tag may act on its message."""
    monkeypatch.setattr(MemoryConsumer, "_ours", lambda self, tag: self._broker.held.get(tag))


def without_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was reserved in a lost reply stays with its living holder, who does not know of it."""
    monkeypatch.setattr(MemoryConsumer, "_check_in", lambda self: self._broker.join(self._holder))


def without_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sweep past the lease is a death."""
    monkeypatch.setattr(
        Broker,
        "find_dead",
        lambda self, finder: [
            holder
            for holder in self.holders.values()
            if holder is not finder and (holder.closed or holder.lease_ends <= self.clock())
        ],
    )


@pytest.mark.parametrize("weaken", [without_fence, without_epochs, without_grace])
def test_a_broker_that_lacks_one_safeguard_is_found_out(weaken, monkeypatch):
    weaken(monkeypatch)
    machine = type("Machine", (BrokerMachine,), {"implementation": "memory"})

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine, settings=settings(SETTINGS, max_examples=1000, phases=[Phase.generate], print_blob=False)
        )
