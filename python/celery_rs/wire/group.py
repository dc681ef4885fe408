"""The stored record of a group: which tasks it has, as a result tuple under the key `result`.

Like a task's record, all of it goes through the serializer of results.
"""

from collections.abc import Sequence
from typing import Any

from celery_rs.errors import ContentError
from celery_rs.serializers import JSON, Serializer, pack_result, unpack_result
from celery_rs.wire.meta import ResultCodec


def encode_group(described: Sequence[Any], codec: ResultCodec) -> bytes:
    """`described` is the group's `[[id, parent], [members]]`."""
    raw = codec.serializer.dumps({"result": described}, "the group")
    return raw if codec.compression is None else pack_result(raw, codec.compression)


def decode_group(raw: bytes, reader: Serializer = JSON) -> Any:
    """The result tuple, of whatever shape it is. Raises ContentError for what is no record of a group."""
    value = reader.loads(unpack_result(raw))
    if not isinstance(value, dict) or "result" not in value:
        raise ContentError(f"expected a saved group with its 'result', got {raw[:80]!r}")
    return value["result"]
