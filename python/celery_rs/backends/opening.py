"""What a result store is opened with: the same for all, whichever of it a store needs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from celery_rs.config import mask_url
from celery_rs.serializers import Serializer, content_types, reader, serializer
from celery_rs.transports import Transport
from celery_rs.wire import ResultCodec


class Opening(NamedTuple):
    """`url` as the setting has it, `options` are result_backend_transport_options, `settings` all of the app's.

    Records are kept `expires` seconds (None: for ever), failures `failure_expires` (0: for ever; None: as the others).
    `app` is for stores of the user's own. `transport` is the app's broker, and `oid` names the queue that its results
    come to; both are for the store that sends results there.
    """

    url: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    expires: float | None
    failure_expires: float | None = None
    app: Any = None
    transport: Callable[[], Transport] | None = None
    oid: Callable[[], str] | None = None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return mask_url(self.url)

    @property
    def codec(self) -> ResultCodec:
        """How records are written."""
        return ResultCodec(self.written_by, self.settings.get("result_compression"))

    @property
    def written_by(self) -> Serializer:
        return serializer(self.settings.get("result_serializer") or "json")

    @property
    def accept(self) -> frozenset[str]:
        """The content types that may be read here."""
        given = self.settings.get("result_accept_content")
        return content_types(tuple(self.settings.get("accept_content") or ("json",) if given is None else given))

    @property
    def read_by(self) -> Serializer:
        """What reads records here. Raises ContentDisallowed when the settings do not accept their own."""
        return reader(self.written_by.content_type, self.accept)
