"""Ask a Redis that is a result store: errors are the store's, and a connection that had died unnoticed is no error.

Everything a store is asked may be asked twice.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from celery_rs.errors import BackendError, OperationalError
from celery_rs.transports.redis import Link, LinkLost, Server

R = TypeVar("R")


class Client:
    """Any thread. `again` is whether a question is repeated that was not answered in time (redis_retry_on_timeout)."""

    def __init__(self, server: Server, again: bool) -> None:
        self.server = server
        self._again = again
        self._pid = os.getpid()

    def ask(self, question: Callable[[Link], R]) -> R:
        """Raises BackendError."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self.server.after_fork()
        with in_words_of_the_store():
            connected = False
            try:
                with self.server.borrowed() as link:
                    connected = True
                    return question(link)
            except LinkLost as error:
                if not connected or (error.was_silent and not self._again):
                    raise
            with self.server.borrowed() as link:
                return question(link)


@contextmanager
def in_words_of_the_store() -> Iterator[None]:
    """The same server may be a broker elsewhere; here it is the result store."""
    try:
        yield
    except OperationalError as error:
        raise BackendError(str(error)) from None
