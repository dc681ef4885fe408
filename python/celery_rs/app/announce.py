"""before_task_publish and after_task_publish: a message shown as Celery's dicts, and read back.

What a receiver changes in body, headers or properties is what is sent. Nothing here runs unless somebody listens.
"""

import json
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from celery_rs.app.times import expiry, moment
from celery_rs.errors import NotSupported
from celery_rs.serializers import JSON, Serializer, compress, decompress, serializer
from celery_rs.signals import after_task_publish, before_task_publish
from celery_rs.transports import Outgoing
from celery_rs.wire import Message, Queue

_FIELDS = {
    "task": "task", "id": "id", "shadow": "shadow", "eta": "eta", "expires": "expires", "group": "group",
    "group_index": "group_index", "retries": "retries", "root_id": "root_id", "parent_id": "parent_id",
    "argsrepr": "argsrepr", "kwargsrepr": "kwargsrepr", "origin": "origin", "ignore_result": "ignore_result",
    "replaced_task_nesting": "replaced_task_nesting", "stamped_headers": "stamped_headers",
}  # fmt: skip
"""Header → the field of the message that says it."""

_PROPERTIES = ("reply_to", "priority", "delivery_mode", "expiration")


class Draft(NamedTuple):
    """A call before it is written: `body` is (args, kwargs, embed)."""

    outgoing: Outgoing
    body: tuple[list[Any], dict[str, Any], dict[str, Any]]
    queue: Queue
    writer: Serializer
    compression: str | None


def announce(draft: Draft, policy: dict[str, Any], local: tzinfo | None) -> Outgoing:
    """Tell the receivers of before_task_publish; what to send then.

    Raises NotSupported for a property that cannot be sent, EncodeError and TypeError as the call itself would.
    """
    outgoing, message = draft.outgoing, draft.outgoing.message
    headers = headers_of(message)
    properties: dict[str, Any] = {"correlation_id": message.id}
    properties |= {name: value for name in _PROPERTIES if (value := getattr(message, name)) is not None}
    before_task_publish.send(
        message.task,
        body=draft.body,
        exchange=outgoing.route.exchange,
        routing_key=outgoing.route.routing_key,
        headers=headers,
        properties=properties,
        declare=[draft.queue],
        retry_policy=policy,
    )
    headers, properties = dict(headers), dict(properties)  # the receivers may have kept theirs
    body = draft.writer.dumps(draft.body, "the body")
    changed = {field: headers.pop(header, None) for header, field in _FIELDS.items()}
    headers.pop("lang", None)
    changed["hard_limit"], changed["soft_limit"] = headers.pop("timelimit", None) or (None, None)
    changed["stamps"] = JSON.dumps(headers.pop("stamps", None) or {}, "stamps")
    changed["headers"] = JSON.dumps(headers, "headers") if headers else b""
    changed["body"] = body if draft.compression is None else compress(body, draft.compression)
    correlation = properties.pop("correlation_id", None)
    if correlation not in (message.id, changed["id"]):
        raise NotSupported("a correlation_id that is not the task's id", "put your own into the headers")
    for name in properties:
        if name not in _PROPERTIES:
            raise NotSupported(f"the property {name!r} of a message", "put it into the headers")
    changed |= {name: value for name, value in properties.items() if value is not None}
    not_before, expires = outgoing.not_before, outgoing.expires
    if changed["eta"] != message.eta:
        changed["eta"], not_before = moment(changed["eta"], None, "eta", local)
    if changed["expires"] != message.expires:
        changed["expires"], expires, changed["expiration"] = expiry(changed["expires"], local)
    return outgoing._replace(message=message._replace(**changed), not_before=not_before, expires=expires)


def tell(batch: Sequence[Outgoing]) -> None:
    """Tell the receivers of after_task_publish what has been sent."""
    for message, route, *_ in batch:
        body = decompress(message.body, message.compression) if message.compression else message.body
        after_task_publish.send(
            message.task,
            headers=headers_of(message),
            body=serializer(message.content_type).loads(body),
            exchange=route.exchange,
            routing_key=route.routing_key,
        )


def headers_of(message: Message) -> dict[str, Any]:
    """The headers of protocol 2 in Celery's order, the user's own last; protocol 1 has only those."""
    if message.protocol == 1:
        return dict(json.loads(message.headers)) if message.headers else {}
    headers: dict[str, Any] = {"lang": "py"}
    for header, field in _FIELDS.items():
        headers[header] = getattr(message, field)
    headers["timelimit"] = [message.hard_limit, message.soft_limit]
    headers["stamps"] = json.loads(message.stamps)
    if message.headers:
        headers |= json.loads(message.headers)
    return headers
