"""The queues that a consumer takes from: their order, and the broadcasts among them.

What comes for a fanout queue is heard over PUB/SUB, put into the queue's list, and from there on is a message like any
other.
"""

import json
import time
from collections.abc import Sequence

from celery_rs.transports.redis.bindings import Bindings
from celery_rs.transports.redis.keys import Keys
from celery_rs.transports.redis.link import Link
from celery_rs.transports.redis.options import RedisOptions
from celery_rs.transports.redis.server import Server
from celery_rs.transports.redis.subscription import Broadcasts


class Listening:
    """Belongs to the thread that receives."""

    def __init__(
        self, server: Server, keys: Keys, options: RedisOptions, bindings: Bindings, queues: Sequence[str]
    ) -> None:
        self.queues = list(dict.fromkeys(queues))
        self.ever = dict.fromkeys(self.queues)
        """Also those that are consumed no more: something may have come for them while we waited."""
        self._server = server
        self._keys = keys
        self._strategy = options.queue_order_strategy
        self._bindings = bindings
        self._broadcasts: dict[str, Broadcasts] = {}
        self._turn = 0

    def told(self) -> str:
        """As other consumers read it: what we consume, and what we have ever waited for."""
        return json.dumps([self.queues, list(self.ever)])

    def order(self) -> list[str]:
        """The queues in the order in which they are looked at."""
        match self._strategy:
            case "sorted":
                return sorted(self.queues)
            case "priority":
                return self.queues
        turn = self._turn % len(self.queues) if self.queues else 0
        return self.queues[turn:] + self.queues[:turn]

    def sources(self) -> list[tuple[str, bytes]]:
        """Every list with its queue, the most urgent step first; the next look begins with another queue."""
        order = self.order()
        self._turn += 1
        return [(queue, self._keys.queue(queue, step)) for step in self._keys.priorities for queue in order]

    def change(self, add: Sequence[str], drop: Sequence[str]) -> None:
        """Consume these, too, and those no more; `begin` and `end` do the rest."""
        self.queues = list(dict.fromkeys([*(queue for queue in self.queues if queue not in drop), *add]))
        self.ever.update(dict.fromkeys(add))

    def begin(self, queues: Sequence[str]) -> None:
        """Have fanout queues hear their exchange, and bind those that exist while they are consumed."""
        for queue in queues:
            for exchange in self._bindings.fanouts(queue):
                if queue not in self._broadcasts:
                    self._broadcasts[queue] = Broadcasts(self._server, self._keys, exchange, "#")
            declared = self._bindings.declared(queue)
            if declared is not None and declared.is_fleeting:
                with self._server.borrowed() as link:
                    link.pipeline(self._bindings.binding(declared, round(time.time() * 1000)))

    def end(self, link: Link, queues: Sequence[str]) -> None:
        """Hear nothing for these any more; those that exist while they are consumed go."""
        for queue in queues:
            heard = self._broadcasts.pop(queue, None)
            if heard is not None:
                heard.close()
            declared = self._bindings.declared(queue)
            if declared is not None and declared.is_fleeting:
                link.pipeline(self._bindings.unbinding(declared))

    def hear(self) -> None:
        """Put what came for fanout queues into their lists."""
        for queue, heard in self._broadcasts.items():
            envelopes = heard.receive(0)
            if envelopes:
                with self._server.borrowed() as link:
                    link.call(b"LPUSH", self._keys.queue(queue), *envelopes)

    def files(self) -> list[int]:
        """Readable when something may have come for a fanout queue."""
        return [heard.fileno() for heard in self._broadcasts.values()]

    def forget(self) -> None:
        """Close connections, and undo nothing."""
        for heard in self._broadcasts.values():
            heard.close()
