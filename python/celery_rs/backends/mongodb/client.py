"""Ask a MongoDB: one client per process, and what went wrong in words of the store.

Everything a store is asked may be asked twice: a connection that had died unnoticed is no error but the second time.
"""

import os
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from celery_rs.backends.mongodb.driver import CodecOptions, bson, errors, pymongo
from celery_rs.config import mask_urls
from celery_rs.errors import BackendError, ImproperlyConfigured

R = TypeVar("R")
Database = Any
"""pymongo's, of one database."""

_NOT_ALLOWED = 13
_ASIDE = re.compile(r" \(configured timeouts: [^)]*\)|, full error: \{.*|, Timeout: .*", re.DOTALL)
_LONGEST = 300

_inherited: list[Any] = []
"""Clients of a parent: kept, so that nobody closes their connections here."""


class Unreachable(BackendError):
    """The server is not there, or not now."""


class Place(NamedTuple):
    """Where it is: how to make a client, what to use there, and how it is called for people."""

    arguments: Mapping[str, Any]
    database: str
    shown: str


class Client:
    """Any thread. Connects at the first question."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._connected: Any = None

    def ask(self, question: Callable[[Database], R]) -> R:
        """Raises BackendError."""
        try:
            try:
                return question(self._database())
            except errors.AutoReconnect as error:
                if isinstance(error, errors.ServerSelectionTimeoutError | errors.NetworkTimeout):
                    raise
            return question(self._database())
        except errors.PyMongoError as error:
            raise self._in_words_of_the_store(error) from None
        except (bson.errors.BSONError, UnicodeError) as error:
            raise BackendError(f"result store {self.place.shown} has no such name: {_said(error)}") from None

    def _database(self) -> Database:
        if os.getpid() != self._pid:
            self.after_fork()
        with self._lock:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected.get_database(
                self.place.database,
                codec_options=CodecOptions(tz_aware=True),
                write_concern=_heard(self._connected.write_concern),
            )

    def _connect(self) -> Any:
        try:
            return pymongo.MongoClient(**self.place.arguments)
        except (errors.ConfigurationError, TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"result store {self.place.shown}: {_said(error)}") from None

    def _in_words_of_the_store(self, error: Any) -> BackendError:
        store = f"result store {self.place.shown}"
        if refuses_credentials(error):
            return BackendError(f"{store} refuses user and password; see authSource if they are right")
        match error:
            case errors.NetworkTimeout():
                return Unreachable(f"{store} did not answer in time (socketTimeoutMS): {_said(error)}")
            case errors.ServerSelectionTimeoutError() | errors.WaitQueueTimeoutError():
                return Unreachable(f"{store} cannot be reached: {_said(error)}")
            case errors.AutoReconnect():
                return Unreachable(f"{store}: the connection is lost: {_said(error)}")
            case errors.OperationFailure(code=code) if code == _NOT_ALLOWED:
                return BackendError(
                    f"{store} refuses: the user may not read and write in database {self.place.database!r}"
                )
            case errors.OperationFailure(details={"errmsg": str(said)}):
                return BackendError(f"{store} refuses: {_line(said)}")
        return BackendError(f"{store} failed: {_said(error)}")

    def after_fork(self) -> None:
        """In a child: the connections are the parent's."""
        if self._connected is not None:
            _inherited.append(self._connected)
        self._begin()

    def close(self) -> None:
        """The next question connects anew."""
        with self._lock:
            connected, self._connected = self._connected, None
        if connected is not None:
            connected.close()


def refuses_credentials(error: errors.PyMongoError) -> bool:
    """Once refused, the client says that it finds no server."""
    return "AuthenticationFailed" in str(error)


def _heard(concern: Any) -> Any:
    """A record is stored once it is in the journal, unless the URL says otherwise; and somebody has to tell."""
    given = dict(concern.document)
    if not concern.acknowledged:
        given["w"] = 1
    return pymongo.WriteConcern(**{"j": True, **given})


def _said(error: BaseException) -> str:
    return _line(_ASIDE.sub("", str(error))) or type(error).__name__


def _line(text: str) -> str:
    return mask_urls(" ".join(text.split()))[:_LONGEST]
