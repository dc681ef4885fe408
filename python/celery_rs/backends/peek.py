"""State and attempt of a stored record, whatever has written it. Pure.

A worker's main process looks at records, too, to see that none goes backwards; so a pickle is looked at without
building anything that it names.
"""

import io
import pickle
import re
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.errors import CeleryError
from celery_rs.serializers import JSON, Serializer, unpack_result
from celery_rs.wire import TaskResult, without_attempt

_PLAIN = re.compile(rb'\s*{\s*"status"\s*:\s*"([^"\\]*)"(?:\s*,\s*"attempt"\s*:\s*(\d+))?')


class Told(NamedTuple):
    """What decides which record may replace which."""

    state: str
    attempt: int


def peek(raw: bytes, serializer: Serializer = JSON) -> Told | None:
    """`serializer` is what the store's records are written by; None for what is no record."""
    plain = _PLAIN.match(raw)
    if plain is not None:
        return Told(plain[1].decode(), int(plain[2] or 0))
    try:
        value = _read(unpack_result(raw), serializer)
    except CeleryError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        return None
    attempt = value.get("attempt", 0)
    return Told(value["status"], attempt if type(attempt) is int else 0)


def standing(raw: bytes, serializer: Serializer) -> Told:
    """The same for a record that another may replace: what does not say stands back."""
    return peek(raw, serializer) or Told(states.PENDING, 0)


def read_record(task_id: str, raw: bytes, serializer: Serializer) -> TaskResult:
    """What cannot be read counts as ready: whoever waits for it is told what is wrong with it."""
    told = peek(raw, serializer)
    if told is None:
        return TaskResult(task_id, states.FAILURE, 0, raw)
    return TaskResult(task_id, told.state, told.attempt, without_attempt(raw)[0])


def _read(payload: bytes, serializer: Serializer) -> Any:
    if payload.startswith(b"\x80"):  # a pickle; no record in msgpack is an empty map
        return _inert(payload)
    if payload.lstrip().startswith(b"{"):
        try:
            return JSON.loads(payload)
        except CeleryError:
            pass  # YAML may begin so, too
    return serializer.loads(payload) if serializer.safe else None


class _Nothing:
    """In place of whatever a pickle names."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def __setstate__(self, state: object) -> None: ...


class _Inert(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Nothing

    def persistent_load(self, pid: object) -> Any:
        return None


def _inert(payload: bytes) -> Any:
    try:
        return _Inert(io.BytesIO(payload)).load()
    except Exception:  # noqa: BLE001  (a pickle may fail in any way)
        return None
