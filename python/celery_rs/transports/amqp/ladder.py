"""Delays on a broker that has none: a ladder of queues in which messages grow old (pure).

Level n keeps a message for 2^n tenths of a second, then passes it down. The routing key begins with the delay in
binary, the most significant digit first: at each level a 1 means to wait there, a 0 to go on. Below the last level
the message goes to the queue that the rest of the key names. Celery's ladder skips queues on direct exchanges, and
has no place for what finds no queue in the end; ours binds the queue itself, and has one.
"""

from typing import Any, NamedTuple

from pika import spec

from celery_rs.transports.amqp.topology import UNROUTED

LEVELS = 28
TICK_S = 0.1
MOST_S = (2**LEVELS - 1) * TICK_S
"""310 days. What is to wait for longer comes back after that, and is sent up again."""
_LONGEST_KEY = 255
_ESCAPED = {"%": "%25", ".": "%2E", "*": "%2A", "#": "%23"}


class Ladder(NamedTuple):
    """A ladder whose exchanges and queues are called `<name>.27` to `<name>.0`, and its foot `<name>`."""

    name: str
    arguments: dict[str, Any]

    def declarations(self) -> list[Any]:
        methods: list[Any] = [
            spec.Exchange.Declare(
                exchange=self.name, type="topic", durable=True, arguments={"alternate-exchange": UNROUTED}
            )
        ]
        methods += [
            spec.Exchange.Declare(exchange=self._level(n), type="topic", durable=True) for n in reversed(range(LEVELS))
        ]
        for n in reversed(range(LEVELS)):
            methods += self._step(n)
        return methods

    def _step(self, n: int) -> list[Any]:
        here, below = self._level(n), self._level(n - 1)
        passed = "*." * (LEVELS - 1 - n)
        arguments = {"x-message-ttl": round(2**n * TICK_S * 1000), "x-dead-letter-exchange": below, **self.arguments}
        return [
            spec.Queue.Declare(queue=here, durable=True, arguments=arguments),
            spec.Queue.Bind(queue=here, exchange=here, routing_key=f"{passed}1.#"),
            spec.Exchange.Bind(destination=below, source=here, routing_key=f"{passed}0.#"),
        ]

    def _level(self, n: int) -> str:
        return self.name if n < 0 else f"{self.name}.{n}"

    @property
    def top(self) -> str:
        """The exchange that a message with a delay is published to."""
        return self._level(LEVELS - 1)

    def binding(self, queue: str) -> Any:
        """What brings messages for `queue` from the foot to it."""
        return spec.Queue.Bind(queue=queue, exchange=self.name, routing_key="*." * LEVELS + _escaped(queue))


CLASSIC = Ladder("celery_rs.delay", {})
QUORUM = Ladder(
    "celery_rs.delay-quorum",
    {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"},
)
LADDERS = (CLASSIC, QUORUM)


def ticks(delay_s: float, *, early: bool) -> int:
    """Whole ticks of a delay; `early` rounds down, for messages that say themselves when they are due."""
    exact = min(max(delay_s, 0.0), MOST_S) / TICK_S
    return int(exact) if early else -int(-exact // 1)


def key(ticks: int, queue: str) -> str | None:
    """The routing key of a message that is to wait; None where the queue's name leaves no room for it."""
    found = f"{'.'.join(f'{ticks:0{LEVELS}b}')}.{_escaped(queue)}"
    return found if len(found.encode()) <= _LONGEST_KEY else None


def queue_in(exchange: str, routing_key: str) -> str | None:
    """The queue that a message which came down a ladder was for; None if it came another way."""
    for ladder in LADDERS:
        if exchange == ladder.name or exchange.startswith(f"{ladder.name}."):
            return _unescaped(routing_key.split(".", LEVELS)[-1])
    return None


def _escaped(name: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in name)


def _unescaped(name: str) -> str:
    for letter, escape in reversed(_ESCAPED.items()):
        name = name.replace(escape, letter)
    return name
