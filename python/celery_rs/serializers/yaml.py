"""YAML: plain data only, written and read by PyYAML's safe functions."""

from typing import Any

from celery_rs.errors import ContentError, EncodeError, ImproperlyConfigured
from celery_rs.serializers.optional import library


class YamlSerializer:
    """For people who read messages."""

    name = "yaml"
    content_type = "application/x-yaml"
    content_encoding = "utf-8"
    safe = True

    def dumps(self, value: object, name: str = "value") -> bytes:
        written = _yaml()
        try:
            text: str = written.safe_dump(value)
            return text.encode("utf-8")
        except Exception as error:
            raise EncodeError(f"{name} cannot be written as YAML: {_line(error)}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return _yaml().safe_load(data)
        except ImproperlyConfigured as error:
            raise ContentError(str(error)) from None
        except Exception as error:  # noqa: BLE001  (PyYAML's own, and those of the types it builds)
            raise ContentError(f"expected YAML: {_line(error)}") from None


def _yaml() -> Any:
    return library("yaml", "serializer 'yaml'", "yaml")


def _line(error: Exception) -> str:
    """PyYAML tells its reasons in several lines."""
    return "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
