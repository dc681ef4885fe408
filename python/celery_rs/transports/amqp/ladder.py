"""Delays on a broker that has none: a ladder of queues in which messages grow old (pure).

The routing key begins with the delay as a number of so many digits, the most significant first. At level n, digit d
means to wait in a queue for d · baseⁿ tenths of a second, and 0 to go on at once; either way the next level is below.
A message enters at its first digit that is not 0, and below the last level it goes to the queue that the rest of the
key names. Celery's ladder skips queues on direct exchanges, and has no place for what finds no queue in the end; ours
binds the queue itself, and has one.

What a message costs the broker is the queues that it waits in, and each word of each pattern that it is held against:
so a greater base is cheaper to go down, and a smaller one has fewer queues.
"""

from typing import Any, NamedTuple

from pika import spec

from celery_rs.transports.amqp.topology import UNROUTED
from celery_rs.transports.base import Route

TICK_S = 0.1
_MOST_TICKS = 2**28 - 1
MOST_S = _MOST_TICKS * TICK_S
"""310 days. What is to wait for longer comes back after that, and is sent up again."""
_LONGEST_KEY = 255
_ESCAPED = {"%": "%25", ".": "%2E", "*": "%2A", "#": "%23"}


class Ladder(NamedTuple):
    """Its foot is called `<name>`, the exchange of a level `<name>.<level>`, a queue of it `<name>.<level>.<digit>`."""

    name: str
    base: int
    levels: int
    arguments: dict[str, Any]

    def foot(self) -> list[Any]:
        """What declares it."""
        return [
            spec.Exchange.Declare(
                exchange=self.name, type="topic", durable=True, arguments={"alternate-exchange": UNROUTED}
            )
        ]

    def level(self, n: int) -> list[Any]:
        """What declares this level; those below have to be there."""
        here, below = self._exchange(n), self._exchange(n - 1)
        passed = "*." * (self.levels - 1 - n)
        methods: list[Any] = [
            spec.Exchange.Declare(exchange=here, type="topic", durable=True),
            spec.Exchange.Bind(destination=below, source=here, routing_key=f"{passed}0.#"),
        ]
        for digit, queue in enumerate(self.queues(n), 1):
            ttl = round(digit * self.base**n * TICK_S * 1000)
            arguments = {"x-message-ttl": ttl, "x-dead-letter-exchange": below, **self.arguments}
            methods += [
                spec.Queue.Declare(queue=queue, durable=True, arguments=arguments),
                spec.Queue.Bind(queue=queue, exchange=here, routing_key=f"{passed}{digit}.#"),
            ]
        return methods

    def queues(self, n: int) -> list[str]:
        """Those of a level, from digit 1 on."""
        return [f"{self._exchange(n)}.{digit}" for digit in range(1, self.base)]

    def binding(self, queue: str) -> Any:
        """What brings messages for `queue` from the foot to it."""
        return spec.Queue.Bind(queue=queue, exchange=self.name, routing_key="*." * self.levels + _escaped(queue))

    def entry(self, ticks: int, queue: str) -> Route | None:
        """Where a message enters that is to wait (1 tick at least); None where the queue's name leaves no room."""
        digits = self._digits(ticks)
        key = ".".join([*map(str, digits), _escaped(queue)])
        if len(key.encode()) > _LONGEST_KEY:
            return None
        first = next(place for place, digit in enumerate(digits) if digit)
        return Route(self._exchange(self.levels - 1 - first), key)

    def level_of(self, exchange: str) -> int | None:
        """The level at which what is published to this exchange enters; None if it is not of this ladder."""
        name, _, level = exchange.rpartition(".")
        return int(level) if name == self.name else None

    def _digits(self, ticks: int) -> list[int]:
        return [ticks // self.base**n % self.base for n in reversed(range(self.levels))]

    def _exchange(self, n: int) -> str:
        return self.name if n < 0 else f"{self.name}.{n}"


CLASSIC = Ladder("celery_rs.later", 16, 7, {})
QUORUM = Ladder(
    "celery_rs.later-quorum",
    2,  # each quorum queue takes files, and long to declare
    28,
    {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"},
)
LADDERS = (CLASSIC, QUORUM)


def ticks(delay_s: float, *, early: bool) -> int:
    """Whole ticks of a delay; `early` rounds down, for messages that say themselves when they are due."""
    exact = min(max(delay_s, 0.0), MOST_S) / TICK_S
    return int(exact) if early else -int(-exact // 1)


def queue_in(exchange: str, routing_key: str) -> str | None:
    """The queue that a message which came down a ladder was for; None if it came another way."""
    for ladder in LADDERS:
        if exchange == ladder.name or exchange.startswith(f"{ladder.name}."):
            return _unescaped(routing_key.split(".", ladder.levels)[-1])
    return None


def _escaped(name: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in name)


def _unescaped(name: str) -> str:
    for letter, escape in reversed(_ESCAPED.items()):
        name = name.replace(escape, letter)
    return name
