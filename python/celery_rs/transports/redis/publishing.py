"""Messages on their way into a Redis: one packed write where that is all it takes, a script where it is not."""

from collections.abc import Sequence

from celery_rs._core import pack_pushes, seal_envelopes
from celery_rs.errors import Unroutable
from celery_rs.transports.base import Outgoing, Route
from celery_rs.transports.redis.bindings import Bindings, Target
from celery_rs.transports.redis.keys import Keys, record_end
from celery_rs.transports.redis.letters import letter
from celery_rs.transports.redis.link import Argument, Link


def push(link: Link, keys: Keys, batch: Sequence[Outgoing]) -> bool:
    """Publish a batch whose messages all go to queues by name, as Celery's clients do; False when it is not such a one.

    All of it or nothing: to more than one list it goes as a transaction.
    """
    if not batch:
        return True
    for outgoing in batch:
        if outgoing.route.exchange or outgoing.once is not None:
            return False
    packed, count = pack_pushes(
        [outgoing.message for outgoing in batch],
        [outgoing.route for outgoing in batch],
        [keys.queue(outgoing.route.routing_key, outgoing.message.priority) for outgoing in batch],
    )
    answers = link.replies(packed, count)
    if count > 1:
        link.refuse(answers[-1])
    return True


def arguments(
    link: Link, keys: Keys, bindings: Bindings, batch: Sequence[Outgoing], *, delays: bool, strays: bool
) -> list[list[Argument]]:
    """The messages of a batch, each as `lua/publishing.lua` reads it.

    `delays`: what is for later waits at the broker; a client's own messages never do, since Celery's do not.
    `strays`: what no queue takes becomes a dead letter; otherwise it raises Unroutable.
    """
    routes = [outgoing.route for outgoing in batch]
    envelopes = seal_envelopes([outgoing.message for outgoing in batch], routes)
    packed: list[list[Argument]] = []
    for outgoing, envelope, targets in zip(batch, envelopes, bindings.targets(link, routes), strict=True):
        stray = "" if targets else _unroutable(outgoing.route)
        if stray and not strays:
            raise Unroutable(stray)
        message, route, not_before, once, _ = outgoing
        buried = (
            letter(route.routing_key, message.task, message.id, "unroutable", stray, 0, 0, envelope) if stray else b""
        )
        later = repr(not_before) if delays and not_before is not None else ""
        places = [item for target in targets for item in _packed(target, keys, message.priority)]
        packed.append([once or "", later, envelope, buried, len(targets), *places])
    return packed


def _packed(target: Target, keys: Keys, priority: int) -> tuple[Argument, Argument, Argument]:
    if target.queue is None:
        return "p", target.channel, ""
    return "q", keys.queue(target.queue, priority), record_end(target.queue)


def _unroutable(route: Route) -> str:
    return f"no queue is bound to exchange {route.exchange!r} for routing key {route.routing_key!r}; declare one first"
