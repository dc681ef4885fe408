"""What `broker_transport_options` may say about a RabbitMQ: the names of Kombu and py-amqp, checked in one place.

Kombu hands them to py-amqp's connection, which passes over what it does not know; here that is an error.
"""

import difflib
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.amqp.location import LOGIN_METHODS

MOST_S = 1e9
"""The longest time that may be said; the operating system takes no much longer one."""


@dataclass(frozen=True, slots=True)
class AmqpOptions:
    """Options after the check. Times are seconds."""

    confirm_publish: bool = False
    """Whether each call waits until the broker has said that it has the message."""
    connect_timeout: float = 4.0
    heartbeat: float = 60.0
    """Between signs of life, 0 for none; the broker's own wish counts if it is less."""
    heartbeat_checkrate: float = 3.0
    """How many of them may be given in that time."""
    login_method: str | None = None
    client_properties: Mapping[str, Any] = field(default_factory=dict)
    """What the broker's operator is told of this program."""
    socket_settings: Mapping[int, int | bytes] = field(default_factory=dict)
    """Options of TCP by their numbers, such as {socket.TCP_USER_TIMEOUT: 5000}."""
    native_delayed_delivery_queue_type: str = "quorum"
    begun_ttl_s: float = 5.0
    """How soon the work of a worker that died is looked at."""
    consumer_timeout: float = 1800.0
    """What the broker's is: how long it waits for an acknowledgement. It does not tell."""
    reconnect_grace_s: float = 15.0
    """How long a worker that lost its connection may take to come back for its work."""

    @classmethod
    def of(cls, given: Mapping[str, Any], *, setting: str = "broker_transport_options") -> "AmqpOptions":
        """Raises ImproperlyConfigured for a name that is no option, or a value that makes no sense."""
        fields: dict[str, Any] = {}
        for name, value in given.items():
            row = _ROWS.get(name)
            if row is None:
                raise ImproperlyConfigured(_unknown(str(name), setting))
            if value is None:
                continue  # as if it were not there
            try:
                checked = row.check(value)
            except (TypeError, ValueError, LookupError, OverflowError):
                raise ImproperlyConfigured(
                    f"{setting}: expected {row.expected} as {name!r}, got {reprlib.repr(value)}"
                ) from None
            if row.is_field:
                fields[name] = checked
        return cls(**fields)


class _Row(NamedTuple):
    """An option of Kombu's that is no field has no use here."""

    is_field: bool
    expected: str
    check: Callable[[Any], Any]


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not 0 < value <= MOST_S:
        raise ValueError
    return float(value)


def _heartbeat(value: Any) -> float:
    """Whole seconds go over the wire, in two bytes."""
    if isinstance(value, bool) or not (value == 0 or 1 <= value <= 65_535):
        raise ValueError
    return float(value)


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not 1 <= value <= 1000:
        raise ValueError
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | int):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half a surrogate pair is no text that could be sent
    return value


def _login_method(value: Any) -> str:
    method = _text(value).upper()
    if method not in LOGIN_METHODS:
        raise ValueError
    return method


def _queue_type(value: Any) -> str:
    if value not in ("quorum", "classic"):
        raise ValueError
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def _properties(value: Any) -> Mapping[str, Any]:
    for name, each in _mapping(value).items():
        if not 0 < len(_text(name).encode()) <= 255 or not isinstance(each, str | int | bool | Mapping):
            raise ValueError
    return dict(value)


def _socket_settings(value: Any) -> Mapping[int, int | bytes]:
    settings: Mapping[Any, Any] = _mapping(value)
    if not all(type(name) is int and isinstance(each, int | bytes) for name, each in settings.items()):
        raise TypeError
    return dict(settings)


_SECONDS, _NUMBER = f"a number of seconds above 0, {MOST_S:.0f} at most", "a whole number from 0 up"
_ROWS: dict[str, _Row] = {
    "confirm_publish": _Row(True, "True or False", _flag),
    "connect_timeout": _Row(True, _SECONDS, _seconds),
    "heartbeat": _Row(True, "whole seconds, 0 for no heartbeats", _heartbeat),
    "heartbeat_checkrate": _Row(True, "a number from 1 to 1000", _rate),
    "login_method": _Row(True, f"one of {', '.join(LOGIN_METHODS)}", _login_method),
    "client_properties": _Row(True, "a dict of names to texts and numbers", _properties),
    "socket_settings": _Row(True, "a dict of numbers, such as {socket.TCP_USER_TIMEOUT: 5000}", _socket_settings),
    "native_delayed_delivery_queue_type": _Row(True, "'quorum' or 'classic'", _queue_type),
    "begun_ttl_s": _Row(True, _SECONDS, _seconds),
    "consumer_timeout": _Row(True, _SECONDS, _seconds),
    "reconnect_grace_s": _Row(True, _SECONDS, _seconds),
    # Here every wait has a deadline of its own, and a frame is as large as the broker allows.
    "read_timeout": _Row(False, _SECONDS, _seconds),
    "write_timeout": _Row(False, _SECONDS, _seconds),
    "channel_max": _Row(False, _NUMBER, _whole),
    "frame_max": _Row(False, _NUMBER, _whole),
    "locale": _Row(False, "a string", _text),
    "insist": _Row(False, "True or False", _flag),
    # Celery's own policy for the connection, which the publisher keeps.
    "max_retries": _Row(False, _NUMBER, _whole),
    "interval_start": _Row(False, "a number of seconds", float),
    "interval_step": _Row(False, "a number of seconds", float),
    "interval_max": _Row(False, "a number of seconds", float),
    "retry_policy": _Row(False, "a dict", _mapping),
}
_ELSEWHERE = {
    **dict.fromkeys(("host", "userid", "password", "virtual_host"), "it stands in broker_url"),
    **dict.fromkeys(("authentication", "login_response"), "name a login_method: PLAIN, AMQPLAIN or EXTERNAL"),
    **dict.fromkeys(
        ("on_open", "on_blocked", "on_unblocked", "on_tune_ok"), "nothing is called back here; leave it out"
    ),
    **dict.fromkeys(("frame_handler", "frame_writer"), "frames are read and written in Rust; leave it out"),
    "ssl": "say it in broker_use_ssl",
    "confirm_timeout": "a call has one deadline for everything: its timeout",
    "visibility_timeout": "a RabbitMQ returns messages when a connection ends; leave it out",
    "priority_steps": "a queue has its priorities from x-max-priority; leave it out",
    "queue_order_strategy": "a RabbitMQ pushes from all queues at once; leave it out",
    "global_keyprefix": "a virtual host keeps programs apart; name one in broker_url",
}
"""Options that people may well think of, and what to do instead."""


def _unknown(name: str, setting: str) -> str:
    if name in _ELSEWHERE:
        return f"{setting}: a RabbitMQ has no option {name!r}: {_ELSEWHERE[name]}"
    close = difflib.get_close_matches(name, [*_ROWS, *_ELSEWHERE], 1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_ROWS)}"
    return f"{setting}: a RabbitMQ has no option {name!r}; {hint}"
