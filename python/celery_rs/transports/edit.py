"""Give a task message other arguments: what `dead edit` does to the envelope of a dead letter.

Only what follows from the arguments changes; every other header and property stays as it came.
"""

import base64
import json
from collections.abc import Mapping, Sequence

from celery_rs._core import DecodeError, open_envelopes
from celery_rs.errors import ContentError, EncodeError
from celery_rs.serializers import JSON
from celery_rs.wire import preview


def with_arguments(envelope: bytes, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
    """The same message with these arguments. Raises ValueError when its body is not plain JSON."""
    opened = open_envelopes([envelope])[0]
    if isinstance(opened, DecodeError):
        raise ValueError(f"only a readable message can be edited: {opened.reason}")
    if opened.content_type != JSON.content_type or opened.compression:
        packed = f", compressed by {opened.compression}" if opened.compression else ""
        raise ValueError(f"only JSON bodies can be edited, got {opened.content_type!r}{packed}")
    try:
        _, _, embed = JSON.loads(opened.body)
        body = JSON.dumps([list(args), dict(kwargs), embed])
    except (ContentError, EncodeError, TypeError, ValueError) as error:
        raise ValueError(f"the arguments of task {opened.id!r} cannot be replaced: {error}") from None
    fields = json.loads(envelope)
    fields["body"] = base64.b64encode(body).decode("ascii")
    fields["properties"]["body_encoding"] = "base64"
    fields["headers"]["argsrepr"] = preview(tuple(args))
    fields["headers"]["kwargsrepr"] = preview(dict(kwargs))
    return json.dumps(fields).encode()
