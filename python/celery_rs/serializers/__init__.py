"""Values ⇄ bytes, and which content types may be read."""

from celery_rs.serializers.base import Serializer
from celery_rs.serializers.registry import JSON, content_types, reader, serializer

__all__ = ["JSON", "Serializer", "content_types", "reader", "serializer"]
