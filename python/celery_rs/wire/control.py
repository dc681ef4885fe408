"""Remote control on the wire: requests and replies in the form of Celery's pidbox (docs/internals/wire-protocol.md, 6).

Opening never raises: what cannot be read comes back as an `Unreadable` with the reason, since anybody who reaches the
broker may write to these exchanges. Bodies are JSON; nothing else is accepted.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from celery_rs._core import RouteTable
from celery_rs.wire.broadcast import Unreadable, Wrong, open_object, seal
from celery_rs.wire.topology import Exchange

PATTERN_MOST = 1000
"""The longest pattern for the names of nodes."""


class ReplyTo(NamedTuple):
    """Where the asker listens."""

    exchange: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A command for workers: the nodes in `destination`, else those whose name matches `pattern`, else all.

    `ticket` and `reply_to` are there when a reply is wanted. `expires` is epoch seconds, 0 is never; `clock` is the
    sender's logical time.
    """

    method: str
    arguments: Mapping[str, Any]
    destination: tuple[str, ...] | None = None
    pattern: str | None = None
    matcher: Literal["glob", "pcre"] = "glob"
    ticket: str | None = None
    reply_to: ReplyTo | None = None
    expires: float = 0.0
    clock: int = field(default=0, compare=False)

    def is_for(self, node: str) -> bool:
        """Whether the worker of that name is meant."""
        if self.destination is not None:
            return node in self.destination
        if self.pattern is None:
            return True
        if self.matcher == "glob":
            return fnmatch.fnmatchcase(node, self.pattern)
        return RouteTable([("regex", self.pattern)]).lookup(node) is not None


@dataclass(frozen=True, slots=True)
class ControlReply:
    """One worker's answer."""

    node: str
    reply: Any
    ticket: str
    clock: int = field(default=0, compare=False)


def seal_request(request: ControlRequest, exchange: str) -> bytes:
    """The request as an envelope for `exchange`."""
    body: dict[str, Any] = {
        "method": request.method,
        "arguments": dict(request.arguments),
        "destination": None if request.destination is None else list(request.destination),
        "pattern": request.pattern,
        "matcher": None if request.pattern is None else request.matcher,
    }
    if request.ticket is not None and request.reply_to is not None:
        body["ticket"] = request.ticket
        body["reply_to"] = request.reply_to._asdict()
    return seal(body, {"clock": request.clock, "expires": request.expires}, exchange, "", delivery_mode=2)


def seal_reply(reply: ControlReply, to: ReplyTo) -> bytes:
    """The reply as an envelope for the asker. Never raises: what JSON cannot carry becomes an error in its place."""
    headers = {"ticket": reply.ticket, "clock": reply.clock}
    try:
        return seal({reply.node: reply.reply}, headers, *to, delivery_mode=1)
    except (TypeError, ValueError, RecursionError) as error:
        told = {"error": f"the reply cannot be written as JSON: {error}"}
        return seal({reply.node: told}, headers, *to, delivery_mode=1)


def open_request(raw: bytes) -> ControlRequest | Unreadable:
    """Read a request's envelope."""
    try:
        headers, body = open_object(raw)
        return _request(headers, body)
    except Wrong as wrong:
        return Unreadable(str(wrong))


def open_reply(raw: bytes) -> ControlReply | Unreadable:
    """Read a reply's envelope."""
    try:
        headers, body = open_object(raw)
        ticket = headers.get("ticket")
        if len(body) != 1 or not isinstance(ticket, str):
            raise Wrong("expected one node's reply with a ticket, got", raw)
    except Wrong as wrong:
        return Unreadable(str(wrong))
    ((node, reply),) = body.items()
    return ControlReply(node, reply, ticket, _clock(headers))


def _request(headers: Mapping[str, Any], body: Mapping[str, Any]) -> ControlRequest:
    method = body.get("method")
    if not isinstance(method, str) or not method:
        raise Wrong("expected a method's name, got", method)
    arguments = body.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise Wrong("expected arguments by name, got", arguments)
    return ControlRequest(
        method,
        arguments,
        _destination(body.get("destination")),
        *_pattern(body.get("pattern"), body.get("matcher")),
        *_address(body.get("ticket"), body.get("reply_to")),
        _seconds(headers.get("expires") or 0),
        _clock(headers),
    )


def _destination(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(node, str) for node in value):
        raise Wrong("expected a list of node names as destination, got", value)
    return tuple(value)


def _pattern(pattern: Any, matcher: Any) -> tuple[str | None, Literal["glob", "pcre"]]:
    if not pattern or not matcher:  # Celery: both, or it is for all
        return None, "glob"
    if not isinstance(pattern, str) or matcher not in ("glob", "pcre"):
        raise Wrong("expected a pattern with matcher 'glob' or 'pcre', got", (pattern, matcher))
    try:
        return pattern, check_pattern(pattern, matcher)
    except ValueError as error:
        raise Wrong(f"expected a pattern ({error}), got", pattern) from None


def check_pattern(pattern: str | None, matcher: str | None) -> Literal["glob", "pcre"]:
    """The matcher, glob if none is named. Raises ValueError for a pattern that it cannot match.

    Regular expressions are Rust's, which take time in proportion to the name: no look-around, no back-references, and
    so nobody who can write to the broker can hold up its workers with one.
    """
    if pattern is None or matcher is None:
        return "glob"
    if matcher not in ("glob", "pcre"):
        raise ValueError(f"expected the matcher 'glob' or 'pcre', got {matcher!r}")
    if len(pattern) > PATTERN_MOST:
        raise ValueError(f"expected at most {PATTERN_MOST} characters, got {len(pattern)}")
    if matcher == "pcre":
        RouteTable([("regex", pattern)])
        return "pcre"
    return "glob"


def _seconds(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        raise Wrong("expected epoch seconds as expires, got", value) from None


def _clock(headers: Mapping[str, Any]) -> int:
    """Anybody may write to these exchanges: a time that no number of messages can reach is none."""
    clock = headers.get("clock")
    return clock if isinstance(clock, int) and 0 <= clock < 2**53 else 0


def _address(ticket: Any, reply_to: Any) -> tuple[str | None, ReplyTo | None]:
    if reply_to is None:
        return None, None
    match reply_to, ticket:
        case {"exchange": str(exchange), "routing_key": str(routing_key)}, str():
            try:
                f"{exchange}{routing_key}".encode()
            except UnicodeEncodeError:
                raise Wrong("expected a reply_to in Unicode, got", reply_to) from None
            return ticket, ReplyTo(exchange, routing_key)
    raise Wrong("expected a ticket and reply_to with exchange and routing_key, got", (ticket, reply_to))


def exchanges(base: str) -> tuple[Exchange, Exchange]:
    """The exchanges of requests and of replies for `control_exchange` (Celery's default: `celery`)."""
    return Exchange(f"{base}.pidbox", "fanout", durable=False), reply_exchange(f"reply.{base}.pidbox")


def reply_exchange(name: str) -> Exchange:
    """The exchange that an asker named in `ReplyTo`."""
    return Exchange(name, "direct", durable=False)


def reply_queue(to: ReplyTo) -> str:
    """What Celery calls the queue in which an asker gathers its replies."""
    return f"{to.routing_key}.{to.exchange}"


def is_error(reply: Any) -> bool:
    """Whether a worker's reply says that the command failed."""
    return isinstance(reply, dict) and "error" in reply
