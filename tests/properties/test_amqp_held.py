"""What is acknowledged on a RabbitMQ's channel, against a broker that does what it is told.

Deliveries come and are finished, given back or kept for long in any order; some are named twice, some were never there.
"""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from celery_rs.transports.amqp.held import Ack, Outstanding


class ChannelMachine(RuleBasedStateMachine):
    """A channel as the broker sees it, and as the consumer does. Numbers choose among what is in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.outstanding = Outstanding()
        self.unacknowledged: set[int] = set()
        """The broker's."""
        self.queues: dict[int, str] = {}
        """Where each delivery came from."""
        self.needed: set[int] = set()
        """What the consumer still works on, or keeps for later."""
        self.delivered = 0

    @rule(many=st.integers(1, 8), queue=st.sampled_from(["one", "two", "three"]))
    def deliver(self, many: int, queue: str) -> None:
        for _ in range(many):
            self.delivered += 1
            self.unacknowledged.add(self.delivered)
            self.needed.add(self.delivered)
            self.queues[self.delivered] = queue
            self.outstanding.add(self.delivered, queue)

    @precondition(lambda self: self.needed)
    @rule(picks=st.lists(st.integers(0, 30), min_size=1, max_size=10))
    def finish_any(self, picks: list[int]) -> None:
        """Also twice in one batch."""
        in_hand = sorted(self.needed)
        self.settle([in_hand[pick % len(in_hand)] for pick in picks])

    @precondition(lambda self: self.needed)
    @rule(many=st.integers(1, 8))
    def finish_the_oldest(self, many: int) -> None:
        self.settle(sorted(self.needed)[:many])

    @precondition(lambda self: self.needed)
    @rule(pick=st.integers(0, 30))
    def keep_one_and_finish_the_rest(self, pick: int) -> None:
        """As when it waits for its time at the worker."""
        in_hand = sorted(self.needed)
        self.settle([tag for tag in in_hand if tag != in_hand[pick % len(in_hand)]])

    @precondition(lambda self: self.needed)
    @rule(pick=st.integers(0, 30))
    def give_back(self, pick: int) -> None:
        """Refused by name: nothing is acknowledged with it."""
        in_hand = sorted(self.needed)
        tag = in_hand[pick % len(in_hand)]
        self.outstanding.settle([tag])
        self.unacknowledged.discard(tag)
        self.needed.discard(tag)

    @rule(tags=st.lists(st.integers(-3, 200), max_size=5))
    def finish_what_is_not_there(self, tags: list[int]) -> None:
        self.settle([tag for tag in tags if tag not in self.needed])

    @rule()
    def lose_the_channel(self) -> None:
        self.outstanding.clear()
        self.unacknowledged.clear()
        self.needed.clear()
        self.delivered = 0

    def settle(self, tags: list[int]) -> None:
        done = self.needed.intersection(tags)

        acks = self.outstanding.settle(tags)

        self.needed -= done
        assert sum(ack.multiple for ack in acks) <= 1
        for ack in acks:
            self.obey(ack)

    def obey(self, ack: Ack) -> None:
        """An acknowledgement of what is not there would end the channel."""
        assert ack.delivery_tag in self.unacknowledged, (ack, self.unacknowledged)
        ended = {tag for tag in self.unacknowledged if tag <= ack.delivery_tag} if ack.multiple else {ack.delivery_tag}
        assert not ended & self.needed, f"{ack} acknowledges {ended & self.needed}, which are not finished"
        self.unacknowledged -= ended

    @invariant()
    def what_is_needed_is_all_that_is_unacknowledged(self) -> None:
        assert self.unacknowledged == self.needed
        assert len(self.outstanding) == len(self.needed)
        assert all(tag in self.outstanding for tag in self.needed)

    @invariant()
    def queues_have_as_many_unacknowledged_as_is_said(self) -> None:
        of_each = Counter(self.queues[tag] for tag in self.unacknowledged)
        for number in (1, 2, 5):
            assert self.outstanding.queues_with(number) == {queue for queue in of_each if of_each[queue] >= number}


ChannelMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
test_no_order_of_ends_acknowledges_what_is_not_finished = ChannelMachine.TestCase


@given(st.integers(1, 500))
def test_what_ends_in_order_is_acknowledged_at_once(many: int) -> None:
    outstanding = Outstanding()
    for tag in range(1, many + 1):
        outstanding.add(tag, "q")

    assert outstanding.settle(range(1, many + 1)) == [Ack(many, multiple=many > 1)]
