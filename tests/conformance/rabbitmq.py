"""A RabbitMQ as a world: a virtual host of its own on the broker that all tests share.

What it cannot be asked is found out by other means: what a consumer holds from the consumer, what lies in a queue by
taking all of it out and putting it back, over a connection that the adapter knows nothing of.
"""

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import pika
from pika import spec
from pika.adapters.blocking_connection import BlockingChannel

from celery_rs._core import amqp_headers
from celery_rs.transports import Consumer, Recovered, Whereabouts
from celery_rs.transports.amqp import AmqpConsumer, AmqpOptions, AmqpTransport
from celery_rs.transports.amqp import Server as AmqpServer
from celery_rs.transports.amqp.ladder import LADDERS, QUORUM, Ladder
from celery_rs.transports.amqp.past import BEGUN, FALLEN
from celery_rs.transports.amqp.session import Session
from celery_rs.transports.amqp.topology import DEAD, ORPHANS
from celery_rs.transports.faults import Faults
from celery_rs.wire import Exchange, Queue
from tests import rabbitmq_vhosts
from tests.conformance.promises import Promise
from tests.deadlines import DEADLINE_S

QUEUES = ("q", "other", "elsewhere", "extra", "followups", "one", "two")
"""What tests call their queues; `find` looks into these."""
logging.getLogger("pika").setLevel(logging.ERROR)  # it warns whenever a queue is not there
_PATIENCE_S = 0.3
_DESCENT_S = 3.0
_RETURN_S = 0.05
"""A quorum queue takes back what it is given back when its log has it, and says nothing of it until then."""


class RabbitWorld:
    """Classic queues. A lease is a connection; no clock can be moved, so that time passes in earnest."""

    lacks: Mapping[Promise, str] = MappingProxyType(
        {
            "browse": "a queue can only be looked through by taking everything out of it",
            "deliveries": "a classic queue counts none, a quorum queue also what was given back unharmed",
            "headers refused": "a RabbitMQ does route by headers",
            "on demand": "a RabbitMQ pushes as soon as there is room in the window",
            "once": "a RabbitMQ does not remember what it has seen",
            "priorities across queues": "each queue pushes by itself",
            "purge delayed": "what waits for its time lies on a ladder that all queues share",
            "replies": "messages are pushed; a lost connection returns all that was held",
            "store": "a RabbitMQ keeps no records",
            "commits": "a RabbitMQ keeps no records",
        }
    )
    shared_by_processes = True
    leases_by_clock = False
    delays_calls = True
    keeps_places = True
    priorities = (0, 5, 9)
    requeues = True
    orphans_at_once = False
    counts = frozenset({"ready"})
    moment = 2.0
    arguments: Mapping[str, Any] = MappingProxyType({"x-max-priority": 9})
    """What its queues are declared with."""

    def __init__(self, directory: Path) -> None:
        self.vhost = rabbitmq_vhosts.fresh()
        self.url = rabbitmq_vhosts.url_of(self.vhost)
        self.consumers: list[WatchedConsumer] = []
        self._gone: list[str] = []
        self._opened: list[AmqpTransport] = []

    def transport(self, faults: Faults | None = None) -> "WatchedTransport":
        options = AmqpOptions.of({"begun_ttl_s": 0.2, "reconnect_grace_s": 0.2})
        transport = WatchedTransport(AmqpServer(self.url, options), self, faults=faults)
        self._opened.append(transport)
        return transport

    def consume(self, *queues: str, faults: Faults | None = None) -> Consumer:
        return self.transport(faults).consume(queues)

    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> NoReturn:
        raise AssertionError(self.lacks["store"])

    def queue(self, name: str, exchange: Exchange | str = "", routing_key: str = "", **options: Any) -> Queue:
        return Queue(name, exchange, routing_key, queue_arguments=self.arguments, **options)

    def find(self, task_id: str) -> Whereabouts | None:
        """First and last at the consumers: a message may be on its way to one of them."""
        return self._in_hand(task_id) or self._in_a_queue(task_id) or self._in_hand(task_id)

    def _in_hand(self, task_id: str) -> Whereabouts | None:
        found = [consumer.whereabouts(task_id) for consumer in self.consumers]
        return next((each for each in found if each is not None), None)

    def _in_a_queue(self, task_id: str) -> Whereabouts | None:
        with self._channel() as channel:
            for queue in (*QUEUES, DEAD, *self._waiting_in(*LADDERS)):
                if task_id in self._look_through(channel, queue):
                    state = "dead" if queue == DEAD else "ready" if queue in QUEUES else "delayed"
                    return Whereabouts(queue, state, None, None, 0, 0)  # type: ignore[arg-type]  # three of its words
        return None

    def _look_through(self, channel: BlockingChannel, queue: str) -> list[object]:
        """The ids of what is ready in a queue, left as it was."""
        if not self._is_there(queue):
            return []
        ids = []
        last = None
        while True:
            method, properties, _ = channel.basic_get(queue)
            if method is None:
                break
            ids.append((properties.headers or {}).get("id"))
            last = method.delivery_tag
        if last is not None:
            channel.basic_nack(last, multiple=True, requeue=True)
            channel.queue_declare(queue, passive=True)  # by then it has heard of it
        return ids

    def put_raw(self, queue: str, envelope: bytes) -> None:
        with self._channel() as channel:
            channel.queue_declare(queue, durable=True, arguments=dict(self.arguments))
            channel.confirm_delivery()
            channel.basic_publish("", queue, envelope)

    def unwrapped(self, raw: bytes) -> bytes:
        return base64.b64decode(json.loads(raw)["body"])

    def delete(self, queue: str) -> None:
        """As an operator does, consumers or not."""
        with self._channel() as channel:
            channel.queue_delete(queue)

    def now(self) -> float:
        return time.time()

    def pass_time(self, seconds: float) -> None:
        """What is due then has come down its ladder, however busy the machine is."""
        time.sleep(seconds)
        levels = self._waiting_in(*LADDERS)
        until = time.monotonic() + _DESCENT_S
        while time.monotonic() < until and not all(map(self._is_empty, levels)):
            time.sleep(0.05)

    def kill(self, consumer: Consumer) -> None:
        """Its socket is closed, as by the kernel."""
        assert isinstance(consumer, WatchedConsumer)
        self._until_noticed(consumer, consumer.forget)
        self.consumers.remove(consumer)
        self._gone.append(consumer.name)

    def cut(self, consumer: "WatchedConsumer") -> None:
        """The connection of a living consumer ends."""
        self._until_noticed(consumer, consumer.cut)

    def _until_noticed(self, consumer: "WatchedConsumer", end: Callable[[], None]) -> None:
        """End a connection; returns once the broker has taken back what was held over it."""
        before = {queue: self._asked(queue).consumer_count for queue in consumer.subscribed()}
        end()
        self._wait(lambda: all(self._asked(queue).consumer_count < count for queue, count in before.items()))

    def note_closed(self, consumer: "WatchedConsumer") -> None:
        if consumer in self.consumers:
            self.consumers.remove(consumer)
            self._gone.append(consumer.name)

    def pause(self, consumer: Consumer) -> None:
        """Its connection lives on, for as long as heartbeats allow: longer than any test."""

    def resume(self, consumer: Consumer) -> None:
        pass

    def recover(self, by: Consumer) -> Recovered:
        """Once what the dead had begun has come down to where everybody hears of it."""
        assert isinstance(by, WatchedConsumer)
        kept = [queue + name for name in self._gone for queue in (BEGUN, FALLEN)]
        self._wait(lambda: all(map(self._is_empty, kept)))
        self._gone.clear()
        self._wait(lambda: self._is_empty(ORPHANS))
        by.hear()
        return by.recover()

    def _waiting_in(self, *ladders: Ladder) -> list[str]:
        """The queues in which messages wait; ladders are declared from below, as high as somebody needed."""
        there: list[str] = []
        for ladder in ladders:
            for level in takewhile(lambda queues: self._is_there(queues[0]), map(ladder.queues, range(ladder.levels))):
                there += level
        return there

    def _is_empty(self, queue: str) -> bool:
        return not self._is_there(queue) or self._asked(queue).message_count == 0

    def _is_there(self, queue: str) -> bool:
        with self._channel() as channel:
            try:
                channel.queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return False
            return True

    def _asked(self, queue: str) -> spec.Queue.DeclareOk:
        with self._channel() as channel:
            return channel.queue_declare(queue, passive=True).method

    @staticmethod
    def _wait(done: Callable[[], bool]) -> None:
        until = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < until, "RabbitMQ has not come to it in time"
            time.sleep(0.01)

    _looks: pika.BlockingConnection | None = None

    @contextmanager
    def _channel(self) -> Iterator[BlockingChannel]:
        if self._looks is None:
            self._looks = pika.BlockingConnection(pika.URLParameters(self.url))
        channel = self._looks.channel()
        try:
            yield channel
        finally:
            if channel.is_open:
                channel.close()

    def close(self) -> None:
        for consumer in self.consumers:
            consumer.forget()
        for opened in self._opened:
            opened.close()
        self._give_up_files()
        if self._looks is not None:
            self._looks.close()
        rabbitmq_vhosts.done_with(self.vhost)

    def _give_up_files(self) -> None:
        """A ladder of quorum queues takes up to 84 of perhaps 900 files, until its virtual host is deleted."""
        with self._channel() as channel:
            for queue in self._waiting_in(QUORUM):
                channel.queue_delete(queue)


class QuorumWorld(RabbitWorld):
    """Quorum queues: what a cluster keeps."""

    lacks: Mapping[Promise, str] = MappingProxyType(
        {
            **RabbitWorld.lacks,
            "places": "a quorum queue serves what was given back when it comes to it",
            "priorities": "quorum queues have none before RabbitMQ 4",
        }
    )
    arguments: Mapping[str, Any] = MappingProxyType({"x-queue-type": "quorum"})


class WatchedTransport(AmqpTransport):
    """Its consumers are known to the world."""

    def __init__(self, server: AmqpServer, world: RabbitWorld, *, faults: Faults | None) -> None:
        super().__init__(server, faults=faults, queue_of=world.queue)
        self._world = world

    def consume(self, queues: Sequence[str]) -> "WatchedConsumer":
        consumer = WatchedConsumer(self.server, self._sender, self._known, self._facts, queues, faults=self._faults)
        consumer.world = self._world
        self._world.consumers.append(consumer)
        return consumer


class WatchedConsumer(AmqpConsumer):
    """A `receive` that does not wait takes what has been pushed by then; here it gives the broker the time to push."""

    world: RabbitWorld

    def _await(self, session: Session, limit: int, timeout: float) -> None:
        if timeout == 0:
            super()._await(session, limit, 0)
            while session.link.wait(lambda: session.is_settled or session.is_behind, DEADLINE_S) and session.is_behind:
                super()._await(session, limit, 0)
            until = time.monotonic() + _PATIENCE_S
            while self._is_left(session) and len(session.arrived) < limit and time.monotonic() < until:
                session.link.wait(lambda: len(session.arrived) >= limit, 0.005)
            self._is_left(session)
            if isinstance(self.world, QuorumWorld):
                session.link.wait(lambda: session.arrived, _RETURN_S)
        super()._await(session, limit, timeout)

    def _is_left(self, session: Session) -> bool:
        """Whether anything is ready. What was pushed before this answer has been read after the next."""
        questions = [spec.Queue.Declare(queue=queue, passive=True) for queue in self._queues]
        return any(answer.message_count for answer in session.work.call_all(questions, DEADLINE_S))

    def _declare_native_delays(self, session: Session) -> None:
        """Not here: see `_give_up_files`."""

    def close(self) -> None:
        super().close()
        self.world.note_closed(self)

    def cut(self) -> None:
        if self._hand.session is not None:
            self._hand.session.link.forget()

    def subscribed(self) -> list[str]:
        return [] if self._hand.session is None else self._hand.session.subscribed

    def hear(self) -> None:
        """Read everything that has been pushed to it."""
        session = self._hand.session
        if session is not None:
            for _ in range(2):
                self._is_left(session)
                session.own.call(spec.Queue.Declare(queue=ORPHANS, passive=True), DEADLINE_S)

    def whereabouts(self, task_id: str) -> Whereabouts | None:
        self.hear()
        for held in self._hand.held.values():
            if _id(held.past.properties) == task_id:
                state = "begun" if held.begun and not held.late else "held"
                return Whereabouts(held.past.queue, state, self.name, None, 0, 0)  # type: ignore[arg-type]  # two of its words
        for queue, item in self._hand.session.arrived if self._hand.session is not None else ():
            if _id(item[7]) == task_id:
                return Whereabouts(queue, "ready", None, None, 0, 0)
        return None


def _id(properties: bytes) -> object:
    return amqp_headers(properties).get("id")
