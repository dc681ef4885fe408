"""A worker that only answers remote control: for tests of those who ask."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery_rs.control import ControlReply, ControlRequest
from celery_rs.transports import Transport
from celery_rs.wire import Unreadable, exchanges, open_request, reply_exchange, seal_reply
from tests.deadlines import DEADLINE_S

Answer = Callable[[ControlRequest], Any]


class FakeWorker(threading.Thread):
    """Thread: answers every request that is meant for it; waits in its subscription until `stop`."""

    def __init__(self, transport: Transport, node: str, answer: Answer, ticket: str | None = None) -> None:
        super().__init__(name=node, daemon=True)
        self.heard: list[ControlRequest] = []
        self._transport, self._node, self._answer, self._ticket = transport, node, answer, ticket
        self._stopping = threading.Event()
        self._subscription = transport.subscribe(exchanges("celery")[0], "#")

    def run(self) -> None:
        while not self._stopping.is_set():
            for raw in self._subscription.receive(DEADLINE_S):
                request = open_request(raw)
                assert not isinstance(request, Unreadable)
                if request.is_for(self._node):
                    self._reply(request)

    def _reply(self, request: ControlRequest) -> None:
        self.heard.append(request)
        if request.reply_to is not None:
            reply = ControlReply(self._node, self._answer(request), self._ticket or request.ticket or "")
            to = request.reply_to
            self._transport.announce(reply_exchange(to.exchange), to.routing_key, [b"garbage", seal_reply(reply, to)])

    def stop(self) -> None:
        self._stopping.set()
        self._subscription.wake()
        self.join()


def _pong(node: str, _: ControlRequest) -> Any:
    return {"ok": f"pong of {node}"}


@contextmanager
def fake_workers(
    transport: Transport, *nodes: str, answer: Answer | None = None, ticket: str | None = None
) -> Iterator[list[FakeWorker]]:
    """Workers of these names that answer until the block ends; by default `pong of <node>`."""
    team = [FakeWorker(transport, node, answer or partial(_pong, node), ticket) for node in nodes]
    for worker in team:
        worker.start()
    try:
        yield team
    finally:
        for worker in team:
            worker.stop()
