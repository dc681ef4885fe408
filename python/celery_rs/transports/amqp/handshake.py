"""Open a connection to a RabbitMQ: reach it, greet it, log in, agree on limits, choose the virtual host."""

import platform
import socket
import ssl
from time import monotonic
from typing import Any

from pika import spec
from pika.credentials import PlainCredentials

from celery_rs.transports.amqp.errors import LinkLost, Refused
from celery_rs.transports.amqp.link import Link
from celery_rs.transports.amqp.location import Place
from celery_rs.version import __version__

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


def open_link(place: Place, *, timeout: float, heartbeat: float = 0.0, name: str = "") -> Link:
    """A connection that is ready for channels. Raises LinkLost, and Refused for what trying again does not change.

    `timeout` is seconds for all of it. `heartbeat` is seconds, 0 for none; the broker's own wish counts if it is
    less. `name` is what the broker's operator sees.
    """
    until = monotonic() + timeout
    link = Link(_reach(place, timeout), place)
    try:
        _negotiate(link, place, until, heartbeat, name)
    except BaseException:
        link.forget()
        raise
    return link


def _reach(place: Place, timeout: float) -> socket.socket:
    try:
        sock = socket.create_connection((place.host, place.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9)
        if place.tls is not None:
            return place.tls.wrap_socket(sock, server_hostname=place.server_hostname)
        return sock
    except ssl.SSLError as error:
        words = (
            f"{place.words()} refused TLS: {error.reason or error}; is this its TLS port, and its certificate known?"
        )
        raise LinkLost(words) from None
    except TimeoutError:
        raise LinkLost(f"{place.words()} cannot be reached: no answer within {timeout:g} seconds") from None
    except OSError as error:
        raise LinkLost(f"{place.words()} cannot be reached: {error.strerror or error}") from None


def _negotiate(link: Link, place: Place, until: float, heartbeat: float, name: str) -> None:
    answers: list[Any] = link.control.answers
    link.send(_GREETING)
    start = _next(link, answers, until, spec.Connection.Start, "a greeting")
    link.server = start.server_properties
    properties: dict[str, Any] = {
        "product": "celery-rs",
        "version": __version__,
        "platform": f"Python {platform.python_version()}",
        "capabilities": _CAPABILITIES,
    }
    if name:
        properties["connection_name"] = name
    mechanisms = start.mechanisms.decode() if isinstance(start.mechanisms, bytes) else start.mechanisms
    mechanism, response = _credentials(place, mechanisms.split())
    link.control.post(spec.Connection.StartOk(properties, mechanism, response, "en_US"))
    tune = _next(link, answers, until, spec.Connection.Tune, "limits after the login")
    link.frame_max = min(tune.frame_max or _FRAME_MAX, _FRAME_MAX)
    link.heartbeat = min(heartbeat, tune.heartbeat) if tune.heartbeat and heartbeat else heartbeat
    link.control.post(
        spec.Connection.TuneOk(tune.channel_max, link.frame_max, round(link.heartbeat)),
        spec.Connection.Open(place.vhost),
    )
    _next(link, answers, until, spec.Connection.OpenOk, "the virtual host")


def _credentials(place: Place, offered: list[str]) -> tuple[str, bytes]:
    if place.login_method == "EXTERNAL":
        return "EXTERNAL", b""
    if "PLAIN" not in offered:
        raise Refused(f"{place.words()} offers the logins {', '.join(offered)}; PLAIN or EXTERNAL was expected")
    _, response = PlainCredentials(place.user, place.password).response_for(_Offer())
    return "PLAIN", response


class _Offer:
    """What `response_for` reads of a Connection.Start."""

    mechanisms = "PLAIN"


def _next(link: Link, answers: Any, until: float, kind: type, what: str) -> Any:
    if not link.wait(lambda: answers, max(0.0, until - monotonic())):
        link.fail(LinkLost(f"{link.place.words()} did not answer in time: expected {what}; is it a RabbitMQ, or TLS?"))
    answer = answers.popleft()
    if not isinstance(answer, kind):
        link.fail(LinkLost(f"{link.place.words()} answered {type(answer).__name__}, expected {what}"))
    return answer
