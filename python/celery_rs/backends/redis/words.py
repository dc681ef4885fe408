"""Errors of a Redis, when it is the result store that has failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery_rs.errors import BackendError, OperationalError


@contextmanager
def in_words_of_the_store() -> Iterator[None]:
    """The same server may be a broker elsewhere; here it is the result store."""
    try:
        yield
    except OperationalError as error:
        raise BackendError(str(error)) from None
