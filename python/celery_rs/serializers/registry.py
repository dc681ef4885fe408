"""Serializers by name and content type, and who may be read.

The accept policy is the door against foreign code: a content type that `accept_content` does not name is refused
before a byte of it is looked at.
"""

from collections.abc import Collection
from functools import lru_cache

from celery_rs.errors import ContentDisallowed, ImproperlyConfigured
from celery_rs.serializers.base import Serializer
from celery_rs.serializers.bson import BsonSerializer
from celery_rs.serializers.custom import CustomSerializer, Decoder, Encoder
from celery_rs.serializers.json import JsonSerializer
from celery_rs.serializers.msgpack import MsgpackSerializer
from celery_rs.serializers.pickle import PickleSerializer
from celery_rs.serializers.raw import TRUSTED, TYPES, RawSerializer
from celery_rs.serializers.yaml import YamlSerializer

JSON: Serializer = JsonSerializer()
PICKLE: Serializer = PickleSerializer()

_BY_NAME: dict[str, Serializer] = {
    made.name: made for made in (JSON, PICKLE, YamlSerializer(), MsgpackSerializer(), BsonSerializer(), RawSerializer())
}
_BY_TYPE: dict[str, Serializer] = {made.content_type: made for made in _BY_NAME.values()}
_changes = 0


def register(
    name: str,
    encoder: Encoder | None,
    decoder: Decoder | None,
    content_type: str,
    content_encoding: str = "utf-8",
) -> None:
    """Let `name` be a serializer; Kombu's `register`. Settings may name it from now on, so do it where the app is made.

    `encoder` returns text or bytes, `decoder` is given bytes; either may be None. Registering a name or a content
    type again replaces it.
    """
    made = CustomSerializer(name, encoder, decoder, content_type, content_encoding)
    _BY_NAME[name] = _BY_TYPE[content_type] = made
    _changed()


def unregister(name: str) -> None:
    """Forget a serializer. Raises ImproperlyConfigured when nobody registered it."""
    found = _BY_NAME.pop(name, None)
    if found is None:
        raise ImproperlyConfigured(_unknown(name))
    if _BY_TYPE.get(found.content_type) is found:
        del _BY_TYPE[found.content_type]
    _changed()


def changes() -> int:
    """Rises whenever a serializer is registered or forgotten."""
    return _changes


def _changed() -> None:
    global _changes
    _changes += 1
    content_types.cache_clear()


def serializer(name: str) -> Serializer:
    """By name (`json`) or content type. Raises ImproperlyConfigured."""
    found = _BY_NAME.get(name) or _BY_TYPE.get(name)
    if found is None:
        raise ImproperlyConfigured(_unknown(name))
    return found


@lru_cache(maxsize=64)
def content_types(accept: tuple[str, ...]) -> frozenset[str]:
    """The content types that a list of names or content types means. Raises ImproperlyConfigured."""
    return frozenset(name if "/" in name else serializer(name).content_type for name in accept)


def reader(content_type: str, accept: Collection[str], content_encoding: str = "utf-8") -> Serializer:
    """What reads content of this type. `accept` holds content types. Raises ContentDisallowed.

    No type at all is `application/data`, which is never refused, as `application/text` is not.
    """
    content_type = content_type or "application/data"
    if content_type not in accept and content_type not in TRUSTED:
        raise ContentDisallowed(
            f"content type {content_type!r} is refused, accept_content allows {', '.join(sorted(accept)) or 'nothing'}"
        )
    if content_type in TYPES and not isinstance(_BY_TYPE.get(content_type), CustomSerializer):
        return RawSerializer(content_type, content_encoding)
    found = _BY_TYPE.get(content_type)
    if found is None:
        raise ContentDisallowed(_unknown(content_type))
    return found


def _unknown(name: str) -> str:
    return f"unknown serializer {name!r}, expected one of {', '.join(map(repr, _BY_NAME))}"
