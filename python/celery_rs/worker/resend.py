"""A message once more, as its own retry, for a task whose process died."""

from celery_rs._core import Envelope
from celery_rs.execution import invented_id
from celery_rs.transports import Outgoing, Route
from celery_rs.wire import copied, iso


def as_retry(envelope: Envelope, *, due: float) -> Outgoing:
    """The retry of this message, at `due` (epoch seconds)."""
    eta = iso(due)
    # Its time to live counts from when it was first sent: `expires` still says when that ends.
    message = copied(envelope, eta=eta, retries=envelope.retries + 1, expiration=None)
    once = invented_id(envelope.id, envelope.retries, 0)
    return Outgoing(message, Route(envelope.exchange, envelope.routing_key), due, once, envelope.expires)
