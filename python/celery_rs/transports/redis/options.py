"""What `broker_transport_options` may say about a Redis: Kombu's names, checked in one place.

`layout` decides the names of keys and must be the same in a whole fleet; `connection` is how to
connect, in redis-py's words.
"""

import difflib
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from celery_rs.errors import ImproperlyConfigured

SEPARATOR = "\x06\x16"
PRIORITY_STEPS = (0, 3, 6, 9)
VISIBILITY_TIMEOUT_S = 3600.0
MOST_S = 1e9
"""The longest time that may be said; the operating system takes no much longer one."""
TIMEOUT_S = 5.0
"""How long a connection waits for an answer, unless `socket_timeout` says otherwise."""


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Options after the check. Times are seconds. `fanout_prefix` is a template with `{db}`, empty for none."""

    visibility_timeout: float = VISIBILITY_TIMEOUT_S
    unacked_key: str = "unacked"
    unacked_index_key: str = "unacked_index"
    priority_steps: tuple[int, ...] = PRIORITY_STEPS
    sep: str = SEPARATOR
    global_keyprefix: str = ""
    fanout_prefix: str = "/{db}."
    fanout_patterns: bool = True
    queue_order_strategy: str = "round_robin"
    deadletter_queue: str | None = None
    max_connections: int = 10
    health_check_interval: float = 25.0
    socket_timeout: float = TIMEOUT_S
    master_name: str | None = None
    min_other_sentinels: int = 0
    sentinel_kwargs: Mapping[str, Any] = field(default_factory=dict)
    connection: Mapping[str, Any] = field(default_factory=dict)
    """What `dial` is told, in redis-py's words."""

    @classmethod
    def of(cls, given: Mapping[str, Any], *, setting: str = "broker_transport_options") -> "RedisOptions":
        """Raises ImproperlyConfigured for a name that is no option, or a value that makes no sense."""
        fields: dict[str, Any] = {}
        connection: dict[str, Any] = {}
        for name, value in given.items():
            row = _ROWS.get(name)
            if row is None:
                raise ImproperlyConfigured(_unknown(name, setting))
            if value is None and name != "fanout_prefix":
                continue  # as if it were not there
            try:
                checked = row.check(value)
            except (TypeError, ValueError, LookupError, OverflowError):
                raise ImproperlyConfigured(
                    f"{setting}: expected {row.expected} as {name!r}, got {reprlib.repr(value)}"
                ) from None
            if row.place == "field":
                fields[name] = checked
            elif row.place == "connection":
                connection[name] = checked
        if fields.get("socket_timeout"):
            connection["socket_timeout"] = fields["socket_timeout"]
        return cls(**fields, connection=connection)


class _Row(NamedTuple):
    """`place`: a field above, the connection, or nothing (an option of Kombu that has no use here)."""

    place: str
    expected: str
    check: Callable[[Any], Any]


def seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 < value <= MOST_S:
        raise ValueError
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a surrogate pair is no text that could be sent
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | int):
        raise TypeError
    return bool(value)


def _off(value: Any) -> bool:
    if value:
        raise ValueError
    return False


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def _steps(value: Any) -> tuple[int, ...]:
    steps = tuple(sorted(value))
    if not steps or steps[0] != 0 or any(type(step) is not int or not 0 <= step <= 9 for step in steps):
        raise ValueError
    return steps


def _fanout_prefix(value: Any) -> str:
    """True is Kombu's own, False is none, a text is itself."""
    if value is True:
        return "/{db}."
    if value is False or value is None:
        return ""
    text = _text(value)
    text.format(db=0)
    return text


def _strategy(value: Any) -> str:
    if value not in ("round_robin", "sorted", "priority"):
        raise ValueError
    return str(value)


def _keepalive(value: Any) -> Mapping[int, int]:
    if not all(type(each) is int for pair in _mapping(value).items() for each in pair):
        raise TypeError
    return dict(value)


def _provider(value: Any) -> Any:
    if not callable(getattr(value, "get_credentials", None)):
        raise TypeError
    return value


SECONDS, _NUMBER, _WORD = f"a number of seconds above 0, {MOST_S:.0f} at most", "a whole number from 0 up", "a string"
_ROWS: dict[str, _Row] = {
    "visibility_timeout": _Row("field", SECONDS, seconds),
    "unacked_key": _Row("field", _WORD, _text),
    "unacked_index_key": _Row("field", _WORD, _text),
    "priority_steps": _Row("field", "a list of whole numbers from 0 to 9 that begins with 0", _steps),
    "sep": _Row("field", _WORD, _text),
    "global_keyprefix": _Row("field", _WORD, _text),
    "fanout_prefix": _Row("field", "True, False or a template such as '/{db}.'", _fanout_prefix),
    "fanout_patterns": _Row("field", "True or False", _flag),
    "queue_order_strategy": _Row("field", "'round_robin', 'sorted' or 'priority'", _strategy),
    "deadletter_queue": _Row("field", "the name of a queue", _text),
    "max_connections": _Row("field", _NUMBER, _whole),
    "health_check_interval": _Row("field", SECONDS, seconds),
    "socket_timeout": _Row("field", SECONDS, seconds),
    "master_name": _Row("field", "the name of a master", _text),
    "min_other_sentinels": _Row("field", _NUMBER, _whole),
    "sentinel_kwargs": _Row("field", "a dict of options for the sentinels", _mapping),
    "sentinel_fanout_compat": _Row("nothing", "False (it is for Kombu older than 5.4, whose channels differ)", _off),
    "socket_connect_timeout": _Row("connection", SECONDS, seconds),
    "socket_keepalive": _Row("connection", "True or False", _flag),
    "socket_keepalive_options": _Row("connection", "a dict of numbers, such as {socket.TCP_KEEPIDLE: 60}", _keepalive),
    "retry_on_timeout": _Row("nothing", "True or False", _flag),
    "client_name": _Row("connection", _WORD, _text),
    "username": _Row("connection", _WORD, _text),
    "password": _Row("connection", _WORD, _text),
    "credential_provider": _Row("connection", "an object with get_credentials()", _provider),
    # Kombu's sweeps and its polling are its own; a record of ours looks the same to them whatever these say.
    "unacked_mutex_key": _Row("nothing", _WORD, _text),
    "unacked_mutex_expire": _Row("nothing", SECONDS, seconds),
    "unacked_restore_limit": _Row("nothing", _NUMBER, _whole),
    "unacked_restore_interval": _Row("nothing", SECONDS, seconds),
    "unacked_restore_throttle": _Row("nothing", _NUMBER, _whole),
    "ack_emulation": _Row("nothing", "True", _flag),
    "polling_interval": _Row("nothing", SECONDS, seconds),
    "reauth_check_interval": _Row("nothing", SECONDS, seconds),
    "body_encoding": _Row("nothing", "'base64'", _text),
    # Celery's own policy for the connection, which the publisher keeps.
    "max_retries": _Row("nothing", _NUMBER, _whole),
    "interval_start": _Row("nothing", "a number of seconds", float),
    "interval_step": _Row("nothing", "a number of seconds", float),
    "interval_max": _Row("nothing", "a number of seconds", float),
    "retry_policy": _Row("nothing", "a dict", _mapping),
}


def _unknown(name: str, setting: str) -> str:
    close = difflib.get_close_matches(str(name), _ROWS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_ROWS)}"
    return f"{setting}: a Redis knows no option {name!r}; {hint}"
