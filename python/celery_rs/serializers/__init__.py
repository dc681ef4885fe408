"""Values ⇄ bytes, and which content types may be read."""

from celery_rs.serializers.base import Serializer
from celery_rs.serializers.compression import compress, compression_type, decompress, pack_result, unpack_result
from celery_rs.serializers.optional import library
from celery_rs.serializers.registry import (
    JSON,
    PICKLE,
    changes,
    content_types,
    reader,
    register,
    serializer,
    unregister,
)
from celery_rs.serializers.tags import TAGS, register_type

__all__ = [
    "JSON",
    "PICKLE",
    "Serializer",
    "TAGS",
    "changes",
    "compress",
    "compression_type",
    "content_types",
    "decompress",
    "library",
    "pack_result",
    "reader",
    "register",
    "register_type",
    "serializer",
    "unpack_result",
    "unregister",
]
