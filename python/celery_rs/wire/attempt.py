"""The attempt of a stored record. Celery's record has no place for it: it stands behind the status, unless it is 0.

Readers of Celery pass it over. Records that are not plain JSON tell it in a key of their own (`meta.py`).
"""

import re

_STATUS = re.compile(rb'\s*{\s*"status"\s*:\s*"(?:[^"\\]|\\.)*"')
_ATTEMPT = re.compile(rb',\s*"attempt"\s*:\s*(\d+)')


def with_attempt(meta: bytes, attempt: int) -> bytes:
    """What is no plain record is left as it is."""
    found = _STATUS.match(meta) if attempt else None
    return meta if found is None else meta[: found.end()] + b', "attempt": %d' % attempt + meta[found.end() :]


def without_attempt(meta: bytes) -> tuple[bytes, int]:
    """The record as it was before, and its attempt."""
    status = _STATUS.match(meta)
    found = _ATTEMPT.match(meta, status.end()) if status else None
    return (meta, 0) if found is None else (meta[: found.start()] + meta[found.end() :], int(found[1]))
