"""Open a connection to a RabbitMQ: reach it, greet it, log in, agree on limits, choose the virtual host."""

import platform
import socket
from collections import deque
from time import monotonic
from typing import Any

from pika import spec
from pika.data import encode_table

from celery_rs.transports.amqp.errors import ACCESS_REFUSED, NOT_ALLOWED, LinkLost, Refused, lost_to
from celery_rs.transports.amqp.link import Link
from celery_rs.transports.amqp.location import Place
from celery_rs.transports.amqp.options import AmqpOptions
from celery_rs.version import VERSION_BANNER

_GREETING = b"AMQP\x00\x00\x09\x01"
_FRAME_MAX = 131_072
_CAPABILITIES = {
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
    "publisher_confirms": True,
    "basic.nack": True,
    "exchange_exchange_bindings": True,
}
_NO_GREETING = {
    True: "; is there a RabbitMQ on this port, and does it want TLS there (amqps://)?",
    False: "; is there a RabbitMQ on this port, and does it speak TLS there?",
}
_NO_LOGIN = "; are the user and the password in the URL right?"


def open_link(place: Place, options: AmqpOptions, *, timeout: float, heartbeat: float = 0.0, name: str = "") -> Link:
    """A connection that is ready for channels. Raises LinkLost, and Refused for what trying again does not change.

    `timeout` is seconds for all of it. `heartbeat` is seconds, 0 for none; the broker's own wish counts if it is
    less. `name` is what the broker's operator sees.
    """
    until = monotonic() + timeout
    link = Link(_reach(place, options, timeout), place)
    if place.heartbeat is not None and heartbeat:
        heartbeat = place.heartbeat
    try:
        _negotiate(link, place, options, until, heartbeat, name)
    except LinkLost:
        link.forget()
        if isinstance(link.lost, LinkLost) and link.lost.code in (ACCESS_REFUSED, NOT_ALLOWED):
            refused = Refused(str(link.lost))
            refused.code = link.lost.code
            raise refused from None
        raise
    except BaseException:
        link.forget()
        raise
    return link


def _reach(place: Place, options: AmqpOptions, timeout: float) -> socket.socket:
    sock: socket.socket | None = None
    try:
        sock = socket.create_connection((place.host, place.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9)
        for number, value in options.socket_settings.items():
            sock.setsockopt(socket.IPPROTO_TCP, number, value)
        if place.tls is not None:
            return place.tls.wrap_socket(sock, server_hostname=place.server_hostname)
        return sock
    except (OSError, ValueError) as error:  # ValueError: what is no name of a host
        if sock is not None:
            sock.close()
        raise lost_to(place, error, timeout=timeout) from None


def _negotiate(link: Link, place: Place, options: AmqpOptions, until: float, heartbeat: float, name: str) -> None:
    answers = link.control.answers
    link.send(_GREETING)
    start = _next(link, answers, until, spec.Connection.Start, "a greeting", _NO_GREETING[place.tls is None])
    link.server = start.server_properties
    properties: dict[str, Any] = {
        "product": "celery-rs",
        "version": VERSION_BANNER,
        "platform": f"Python {platform.python_version()}",
        "capabilities": _CAPABILITIES,
        **options.client_properties,
    }
    if name:
        properties["connection_name"] = name
    mechanisms = start.mechanisms.decode() if isinstance(start.mechanisms, bytes) else start.mechanisms
    response: Any = _credentials(place, mechanisms.split())
    link.control.post(spec.Connection.StartOk(properties, place.login_method, response, "en_US"))
    tune = _next(link, answers, until, spec.Connection.Tune, "an answer to the login", _NO_LOGIN)
    link.frame_max = min(tune.frame_max or _FRAME_MAX, _FRAME_MAX)
    link.beats = max(options.heartbeat_checkrate, 2.0)
    link.heartbeat = min(heartbeat, tune.heartbeat) if tune.heartbeat and heartbeat else heartbeat
    link.control.post(
        spec.Connection.TuneOk(tune.channel_max, link.frame_max, round(link.heartbeat)),
        spec.Connection.Open(place.vhost),
    )
    _next(link, answers, until, spec.Connection.OpenOk, f"the virtual host {place.vhost!r}", "")


def _credentials(place: Place, offered: list[str]) -> bytes:
    if place.login_method not in offered:
        raise Refused(
            f"{place.words()} does not let in by {place.login_method}, it offers {', '.join(offered)}; "
            "name one in broker_login_method"
        )
    match place.login_method:
        case "EXTERNAL":
            return b""
        case "AMQPLAIN":
            fields: list[bytes] = []
            encode_table(fields, {"LOGIN": place.user, "PASSWORD": place.password})
            return b"".join(fields)[4:]  # a table without its length
        case _:
            return f"\0{place.user}\0{place.password}".encode()


def _next(link: Link, answers: deque[Any], until: float, kind: type, what: str, hint: str) -> Any:
    try:
        answered = link.wait(lambda: answers, max(0.0, until - monotonic()))
    except LinkLost as error:
        if isinstance(link.lost, LinkLost) and link.lost.code:
            raise
        raise LinkLost(f"{error}; expected {what}{hint}") from None
    if not answered:
        link.fail(LinkLost(f"{link.place.words()} gave no answer in time: expected {what}{hint}"))
    answer = answers.popleft()
    if not isinstance(answer, kind):
        link.fail(LinkLost(f"{link.place.words()} answered {type(answer).__name__}, expected {what}"))
    return answer
