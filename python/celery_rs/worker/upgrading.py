"""Deliveries as they came → deliveries that the rest of the worker can read: messages of protocol 1 become protocol 2.

Nearly every delivery is of protocol 2 and is only looked at.
"""

from collections.abc import Sequence

from celery_rs._core import DecodeError, Envelope, open_envelopes
from celery_rs.context import AppLike
from celery_rs.errors import ContentDisallowed, ContentError, InvalidTaskError
from celery_rs.serializers import content_types
from celery_rs.transports import Delivery
from celery_rs.wire import as_protocol_2


def upgraded(deliveries: Sequence[Delivery], app: AppLike) -> Sequence[Delivery]:
    """What cannot be upgraded stays as it came."""
    for delivery in deliveries:
        if isinstance(delivery.envelope, DecodeError) or delivery.envelope.is_mapping:
            return [_upgraded(each, app) for each in deliveries]
    return deliveries


def _upgraded(delivery: Delivery, app: AppLike) -> Delivery:
    envelope = delivery.envelope
    if isinstance(envelope, Envelope) and not envelope.is_mapping:
        return delivery
    if not envelope.raw.lstrip().startswith(b"{"):
        return delivery
    accepted = content_types(app.conf.accept_content)
    try:
        upgraded = open_envelopes([as_protocol_2(envelope.raw, accepted, app.timezone)])[0]
    except (InvalidTaskError, ContentError, ContentDisallowed):
        return delivery
    return delivery if isinstance(upgraded, DecodeError) else delivery._replace(envelope=upgraded)
