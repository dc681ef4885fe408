"""The asker's end of request and reply over the broker's fanout exchange; the worker's is `worker.listener`.

The asker subscribes to its replies *before* it asks, under an address of its own for each question, so that no
answer can come too early and none to an old question is taken for this one's.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from celery_rs.transports import Subscription, Transport
from celery_rs.wire import (
    ControlReply,
    ControlRequest,
    ReplyTo,
    exchanges,
    open_reply,
    reply_queue,
    seal_request,
)

Heard = Callable[[ControlReply], None]


def tell(transport: Transport, request: ControlRequest, *, base: str = "celery") -> None:
    """Send a request that nobody waits for."""
    exchange, _ = exchanges(base)
    transport.announce(exchange, "", [seal_request(request, exchange.name)])


def ask(
    transport: Transport,
    request: ControlRequest,
    *,
    base: str = "celery",
    timeout: float = 1.0,
    limit: int | None = None,
    heard: Heard | None = None,
) -> list[ControlReply]:
    """Send a request and gather the answers, in the order in which they came.

    It ends with `limit` answers (those of all destinations, if it has any), or after `timeout` seconds without one.
    """
    requests, replies = exchanges(base)
    ticket, to = str(uuid4()), ReplyTo(replies.name, str(uuid4()))
    asked = replace(
        request,
        ticket=ticket,
        reply_to=to,
        expires=time.time() + timeout,
    )
    if limit is None and request.destination is not None:
        limit = len(set(request.destination))
    subscription = transport.subscribe(replies, to.routing_key, reply_queue(to))
    try:
        transport.announce(requests, "", [seal_request(asked, requests.name)])
        return _gather(subscription, ticket, timeout, limit, heard)
    finally:
        subscription.close()


def _gather(
    subscription: Subscription, ticket: str, timeout: float, limit: int | None, heard: Heard | None
) -> list[ControlReply]:
    replies: list[ControlReply] = []
    deadline = time.monotonic() + timeout
    while limit is None or len(replies) < limit:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        ours = _ours(subscription.receive(left), ticket)[: None if limit is None else limit - len(replies)]
        for reply in ours:
            replies.append(reply)
            if heard is not None:
                heard(reply)
        if ours:
            deadline = time.monotonic() + timeout
    return replies


def _ours(raw: Sequence[bytes], ticket: str) -> list[ControlReply]:
    """What can be read and answers this question; anybody may write to the exchange."""
    opened = map(open_reply, raw)
    return [reply for reply in opened if isinstance(reply, ControlReply) and reply.ticket == ticket]
