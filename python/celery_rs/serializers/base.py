"""What a serializer promises."""

from typing import Any, Protocol


class Serializer(Protocol):
    """Values ⇄ bytes. Any thread; no state."""

    name: str
    content_type: str
    content_encoding: str
    safe: bool
    """Whether reading runs nobody's code, so that a worker's main process may read it."""

    def dumps(self, value: object, name: str = "value") -> bytes:
        """Raises EncodeError, which says where in `name` the value is that cannot be written."""
        ...

    def loads(self, data: bytes) -> Any:
        """Raises ContentError."""
        ...
