"""RabbitMQ against its model, through whatever order of calls, lost connections and deaths hypothesis finds.

Three processes at most consume one queue, a fourth publishes. A broker that pushes cannot be asked after every step
where a message is. Each delivery is checked when it comes; in the end everybody dies, and a last consumer must get all
that has not ended, and nothing else.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from celery_rs.errors import OperationalError
from celery_rs.transports import Burial, Completion, Consumer, Tag
from celery_rs.transports.faults import Faults
from tests.conformance.calls import call, opened
from tests.conformance.rabbitmq import RabbitWorld, WatchedConsumer
from tests.conformance.worlds import WORLDS
from tests.deadlines import DEADLINE_S
from tests.oracles.push_model import PushModel

QUEUE = "q"
SLOTS = 3
TICK_S = 0.01
"""What a message may come too early by, since its time was taken before it was measured."""

SETTINGS = settings(
    max_examples=10,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

slots = st.integers(0, SLOTS - 1)
picks = st.lists(st.integers(0, 3) | st.integers(0, 30), min_size=1, max_size=4)
delays = st.sampled_from([-1.0, 0.0, 0.1, 0.25])


class PushMachine(RuleBasedStateMachine):
    """Rules take numbers; a number chooses among what there is."""

    implementation: str

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        world = WORLDS[self.implementation](Path(self.directory.name))
        assert isinstance(world, RabbitWorld)
        self.world = world
        self.transport = world.transport()
        self.model = PushModel()
        self.consumers: list[WatchedConsumer] = []
        self.faults: dict[str, Faults] = {}
        self.tags: list[tuple[Tag, str]] = []
        """Every tag there ever was, and the id of its message."""
        self.numbers = count()

    @initialize(limits=st.tuples(*[st.integers(0, 4)] * SLOTS))
    def begin_with_something_in_hand(self, limits: tuple[int, ...]) -> None:
        """Which of the rules are used at all is chosen for each example, and most need a message."""
        self.publish(0, 9)
        for limit in limits:
            self.receive_some(self.open(), limit)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.account_for_everything()
        finally:
            self.world.close()
            self.directory.cleanup()

    # Choosing

    def open(self) -> WatchedConsumer:
        faults = Faults()
        consumer = self.world.consume(QUEUE, faults=faults)
        assert isinstance(consumer, WatchedConsumer)
        self.consumers.append(consumer)
        self.faults[consumer.name] = faults
        return consumer

    def chosen(self, slot: int) -> WatchedConsumer:
        return self.consumers[slot % len(self.consumers)]

    def some_tags(self, consumer: WatchedConsumer, picks: Sequence[int]) -> list[Tag]:
        """Some of all tags there ever were, without repeats: its own come first, then what is stale or another's."""
        if not any(self.model.held(consumer.name, tag) for tag, _ in self.tags):
            self.publish(0, 2)
            self.receive_some(consumer, 3)
        tags = sorted(
            (tag for tag, _ in reversed(self.tags)), key=lambda tag: self.model.held(consumer.name, tag) is None
        )
        return list(dict.fromkeys(tags[pick % len(tags)] for pick in picks))

    def note_tag(self, tag: Tag, id: str) -> None:
        assert tag not in dict(self.tags), "tags are never used again"
        self.tags.append((tag, id))

    # Publishing

    @rule(priority=st.sampled_from([0, 0, 5]), many=st.integers(1, 4))
    def publish(self, priority: int, many: int) -> None:
        batch = [f"m{next(self.numbers)}" for _ in range(many)]

        self.transport.publish([call(id, QUEUE, priority=priority) for id in batch])

        for id in batch:
            self.model.publish(id)

    @rule(delay=delays)
    def publish_for_later(self, delay: float) -> None:
        id, due = f"m{next(self.numbers)}", time.time() + delay

        self.transport.publish([call(id, QUEUE, not_before=due)])

        self.model.publish(id, due=due)

    @precondition(lambda self: self.model.in_place("dead"))
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
        self.receive_some(self.chosen(slot), limit)

    def receive_some(self, consumer: WatchedConsumer, limit: int) -> int:
        received = consumer.receive(limit, 0)

        assert set(received.lost) == self.model.told_of(consumer.name)
        for delivery in received.deliveries:
            id = opened(delivery).id
            self.note_tag(delivery.tag, id)
            assert delivery.queue == QUEUE
            self.model.receive(consumer.name, id, delivery, time.time() + TICK_S)
        return len(received.deliveries)

    # Holding and ending

    @rule(slot=slots, picks=picks, late=st.booleans())
    def begin(self, slot: int, picks: list[int], late: bool) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)

        not_ours = consumer.begin(tags, late=late)

        assert set(not_ours) == self.model.begin(consumer.name, tags, late=late)

    @rule(slot=slots, picks=picks, followups=st.integers(0, 2), rejected=st.sampled_from([False] * 4 + [True]))
    def finish(self, slot: int, picks: list[int], followups: int, rejected: bool) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)
        following = {tag: [f"m{next(self.numbers)}" for _ in range(followups)] for tag in tags}

        verdicts = consumer.finish(
            [
                Completion(tag, "rejected" if rejected else "done", [call(id, QUEUE) for id in following[tag]])
                for tag in tags
            ]
        )

        assert list(verdicts) == [
            self.model.finish(consumer.name, tag, rejected=rejected, followups=following[tag]) for tag in tags
        ]

    @rule(slot=slots, picks=picks, crashed=st.booleans(), front=st.booleans())
    def give_back(self, slot: int, picks: list[int], crashed: bool, front: bool) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)

        consumer.give_back(tags, crashed=crashed, front=front)

        self.model.give_back(consumer.name, tags, crashed=crashed)

    @rule(slot=slots, picks=picks, delay=delays)
    def defer(self, slot: int, picks: list[int], delay: float) -> None:
        consumer = self.chosen(slot)
        tags, due = self.some_tags(consumer, picks), time.time() + delay

        consumer.defer(dict.fromkeys(tags, due))

        self.model.defer(consumer.name, tags, due)

    @rule(slot=slots, picks=picks)
    def bury(self, slot: int, picks: list[int]) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)

        consumer.bury({tag: Burial("reason", "detail") for tag in tags})

        self.model.bury(consumer.name, tags)

    @rule(slot=slots)
    def renew(self, slot: int) -> None:
        consumer = self.chosen(slot)

        lost = consumer.renew()

        assert set(lost) == self.model.told_of(consumer.name)

    @rule(slot=slots, picks=picks)
    def ask_what_is_held(self, slot: int, picks: list[int]) -> None:
        consumer = self.chosen(slot)
        tags = self.some_tags(consumer, picks)

        held = consumer.holds(tags)

        assert list(held) == [tag for tag in tags if self.model.held(consumer.name, tag) is not None]

    # Lost connections and deaths

    @rule(slot=slots, how=st.sampled_from(["cut", "cut while receiving", "killed", "closed"]))
    def end(self, slot: int, how: str) -> None:
        """One rule, so that most steps are work."""
        consumer = self.chosen(slot)
        match how:
            case "cut":
                self.lose_the_connection(consumer)
            case "cut while receiving":
                self.lose_the_connection_while_receiving(consumer)
            case "killed":
                self.kill(consumer)
                self.open()
            case _:
                self.close(consumer)
                self.open()

    def lose_the_connection(self, consumer: WatchedConsumer) -> None:
        """Noticed by the thread that renews."""
        self.world.cut(consumer)

        self.model.lose_connection(consumer.name)
        assert set(consumer.renew()) == self.model.told_of(consumer.name)

    def lose_the_connection_while_receiving(self, consumer: WatchedConsumer) -> None:
        self.faults[consumer.name].drop_replies = 1

        with pytest.raises(OperationalError):
            consumer.receive(5, 0)

        self.model.lose_connection(consumer.name)

    def kill(self, consumer: WatchedConsumer) -> None:
        self.world.kill(consumer)

        self.model.die(consumer.name)
        self.consumers.remove(consumer)

    def close(self, consumer: WatchedConsumer) -> None:
        consumer.close()

        self.model.close(consumer.name)
        self.consumers.remove(consumer)

    @rule(slot=slots)
    def recover(self, slot: int) -> None:
        """Orphans come to whoever is there."""
        by = self.chosen(slot)
        self.receive_some(by, 0)

        self.note_orphans(by, self.world.recover(by).orphans)
        for consumer in self.consumers:
            consumer.hear()
            self.note_orphans(consumer, consumer.recover().orphans)

        self.model.everything_has_come_down()
        left = [each for each in self.model.in_place("adrift") if each.holder is None]
        assert not left, f"nobody has found {left}"

    def note_orphans(self, consumer: Consumer, orphans: Sequence) -> None:
        for orphan in orphans:
            id = opened(orphan).id
            self.note_tag(orphan.tag, id)
            self.model.find_orphan(consumer.name, id, orphan.tag)

    # What must hold in the end

    def account_for_everything(self) -> None:
        for consumer in list(self.consumers):
            self.kill(consumer)
        self.open()
        self.recover(0)
        self.every_message_that_waits_comes()
        assert sorted(letter.task_id or "" for letter in self.transport.dead.page(limit=1000).letters) == sorted(
            message.id for message in self.model.in_place("dead")
        )

    def every_message_that_waits_comes(self) -> None:
        (last,) = self.consumers
        until = time.monotonic() + DEADLINE_S
        while waiting := self.model.in_place("queued"):
            assert time.monotonic() < until, f"{waiting} did not come"
            self.receive_some(last, len(waiting))
        assert self.receive_some(last, 10) == 0
        assert not self.model.in_place("adrift")


@pytest.mark.parametrize("implementation", [name for name, world in WORLDS.items() if issubclass(world, RabbitWorld)])
def test_every_order_of_calls_lost_connections_and_deaths_agrees_with_the_model(implementation: str) -> None:
    machine = type("Machine", (PushMachine,), {"implementation": implementation})

    run_state_machine_as_test(machine, settings=SETTINGS)
