"""What calls have in common that differ in their arguments and ids only, and the messages that are made of it.

One call or thousands: a single call into the core writes the bodies, the ids and the previews of all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from celery_rs._core import NotJson, messages_like
from celery_rs.app.router import Destination
from celery_rs.errors import EncodeError
from celery_rs.serializers import JSON, TAGS, Serializer, compress
from celery_rs.wire import Message

Arguments = tuple[Sequence[Any], Mapping[str, Any]]

NO_EMBED: Mapping[str, Any] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_NO_EMBED_TEXT = JSON.dumps(NO_EMBED).decode()


class Stencil(NamedTuple):
    """`like` has no id, body or delivery tag, and no root or preview where those are each call's own.

    `embed` is what a message carries beside the arguments.
    """

    like: Message
    embed: Mapping[str, Any]
    writer: Serializer
    destination: Destination
    not_before: float | None
    expires_at: float | None

    def messages(
        self, calls: Sequence[Arguments], ids: Sequence[str | None] | None, show: Callable[[object], str]
    ) -> list[Message]:
        """One for each. Raises EncodeError, and TypeError for what are no arguments."""
        for args, kwargs in calls:
            if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
                raise TypeError(f"args must be a list or tuple and kwargs a dict, got {args!r} and {kwargs!r}")
        if self.writer is not JSON or self.like.compression is not None:
            bodies = [self._body(args, kwargs) for args, kwargs in calls]
            return messages_like(self.like, calls, "", TAGS.replace, show, ids=ids, bodies=bodies)
        try:
            embed = _NO_EMBED_TEXT if self.embed is NO_EMBED else JSON.dumps(self.embed).decode()
            return messages_like(self.like, calls, embed, TAGS.replace, show, ids=ids)
        except (NotJson, EncodeError):
            for args, kwargs in calls:
                self._body(args, kwargs)
            raise

    def _body(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
        writer, embed = self.writer, self.embed
        try:
            body = writer.dumps((args, kwargs, embed))
        except EncodeError:
            writer.dumps(args, "args")  # the complaint then says where
            writer.dumps(kwargs, "kwargs")
            writer.dumps(embed["callbacks"], "link")
            writer.dumps(embed["errbacks"], "link_error")
            raise
        return body if self.like.compression is None else compress(body, self.like.compression)
