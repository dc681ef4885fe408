"""Serializers by name and content type, and who may be read.

The accept policy is the door against foreign code: a content type that `accept_content` does not name is refused
before a byte of it is looked at.
"""

from collections.abc import Collection
from functools import lru_cache

from celery_rs.errors import ContentDisallowed, ImproperlyConfigured
from celery_rs.serializers.base import Serializer
from celery_rs.serializers.json import JsonSerializer

JSON: Serializer = JsonSerializer()

_BY_NAME: dict[str, Serializer] = {JSON.name: JSON}
_BY_TYPE: dict[str, Serializer] = {JSON.content_type: JSON}

_LATER = {
    "pickle": "application/x-python-serialize",
    "yaml": "application/x-yaml",
    "msgpack": "application/x-msgpack",
}
_NAMES_LATER = {content_type: name for name, content_type in _LATER.items()}


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


def reader(content_type: str, accept: Collection[str]) -> Serializer:
    """The serializer for content of this type. `accept` holds content types. Raises ContentDisallowed."""
    if content_type not in accept:
        raise ContentDisallowed(
            f"content type {content_type!r} is refused, accept_content allows {', '.join(sorted(accept)) or 'nothing'}"
        )
    found = _BY_TYPE.get(content_type)
    if found is None:
        raise ContentDisallowed(_unknown(content_type))
    return found


def _unknown(name: str) -> str:
    later = name if name in _LATER else _NAMES_LATER.get(name)
    if later is not None:
        return f"serializer {later!r} is not supported yet; use 'json'"
    return f"unknown serializer {name!r}, expected one of {', '.join(map(repr, _BY_NAME))}"
