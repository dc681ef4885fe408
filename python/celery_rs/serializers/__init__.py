"""Values ⇄ bytes, and which content types may be read."""

from celery_rs.serializers.base import Serializer
from celery_rs.serializers.compression import compress, compression_type, decompress
from celery_rs.serializers.registry import JSON, content_types, reader, serializer

__all__ = [
    "JSON",
    "Serializer",
    "compress",
    "compression_type",
    "content_types",
    "decompress",
    "reader",
    "serializer",
]
