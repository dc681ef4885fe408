"""What goes wrong between us and a RabbitMQ, in one line that says what to do about it."""

import re
import ssl
from typing import NamedTuple

from celery_rs.errors import OperationalError
from celery_rs.transports.amqp.location import Place
from celery_rs.transports.amqp.tls import tls_reason
from celery_rs.transports.base import QueueRefused

ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530
NOT_IMPLEMENTED = 540
_EXCLUSIVE = "in exclusive use"


class LinkLost(OperationalError):
    """The connection is gone; what was under way on it may or may not have happened.

    `code` is the AMQP reply code with which the server ended it, 0 if it gave none.
    """

    code = 0


class Refused(OperationalError):
    """The server has answered, with an error; `code` is its AMQP reply code, 0 if it gave none."""

    code = 0


class ChannelRefused(Refused, QueueRefused):
    """What was asked for on a channel; its connection lives."""


def refusal(code: int, text: str | bytes, place: Place) -> ChannelRefused:
    """A close of a channel as an error."""
    error = ChannelRefused(words_of(code, text, place))
    error.code = code
    return error


def in_exclusive_use(error: Refused) -> bool:
    """Whether that is all that was wrong; a right that is missing has the same code."""
    return error.code == ACCESS_REFUSED and _EXCLUSIVE in str(error)


def lost_to(place: Place, error: OSError | ValueError, *, timeout: float | None = None) -> LinkLost:
    """What the operating system or TLS says of a connection that could not be made, or has ended."""
    return LinkLost(f"{place.words()} {_reason(place, error, timeout)}")


def _reason(place: Place, error: OSError | ValueError, timeout: float | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted: {error.verify_message}; name its CA in "
            "broker_use_ssl = {'ca_certs': 'ca.pem'}, or its name as 'server_hostname'"
        )
    if isinstance(error, ssl.SSLError):
        said = tls_reason(error)
        return f"refused TLS: {said}; does it speak TLS on this port? Else write amqp://, without broker_use_ssl"
    if isinstance(error, TimeoutError):
        within = "in time" if timeout is None else f"within {timeout:g} seconds"
        return f"cannot be reached: no answer {within}" + ("; does it speak TLS on this port?" if place.tls else "")
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror}"
    return f"cannot be reached: {str(error).strip('. ') or type(error).__name__}"


def words_of(code: int, text: str | bytes, place: Place) -> str:
    """A close of RabbitMQ's: what it said, and what that calls for."""
    said = _said(text)
    other = _Other.of(said)
    if other is not None:
        return f"{place.words()} refused: {other.words()}"
    return f"{place.words()} {_happened(code, said)}: {_advised(code, said, place)}"


def _said(text: str | bytes) -> str:
    """Its words without the name of the code, on one line whatever they are."""
    if isinstance(text, bytes):  # what is no UTF-8
        text = text.decode("utf-8", "replace")
    said = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return re.sub(r"^[A-Z_]+ - ", "", said).rstrip(". ") or "no reason given"


def _happened(code: int, said: str) -> str:
    return "closed the connection" if code in _ENDS or "delivery acknowledgement" in said else "refused"


def _advised(code: int, said: str, place: Place) -> str:
    if code == ACCESS_REFUSED and "Login was refused" in said:
        return (
            f"the login of {place.user!r} by {place.login_method} failed (the user or password is wrong, or "
            "the user may not log in from this machine; check the URL)"
        )
    for known, pattern, advice in _ADVICE:
        if known == code and re.search(pattern, said):
            return f"{said} ({advice.format(user=place.user, vhost=place.vhost)})"
    return f"{said} (AMQP {code})"


_GRANT = "rabbitmqctl set_permissions -p '{vhost}' '{user}' '.*' '.*' '.*'"
_FORGET_FACTS = (
    'rabbitmqctl eval \'rabbit_amqqueue:internal_delete(rabbit_misc:r(<<"{vhost}">>, queue, <<"celery_rs.facts">>), '
    '<<"op">>).\''
)
_ENDS = (320, 501, 502, 503, 504, 505, 541)
_ADVICE = (
    (311, "", "send less in one message: put the data elsewhere and send where it is"),
    (320, "vhost", "somebody has deleted it; create it again"),
    (320, "", "an operator or a shutdown ended it; it is opened again"),
    (402, "", "this is for its operator; look into its log"),
    (ACCESS_REFUSED, "reserved prefix", "use another name"),
    (ACCESS_REFUSED, _EXCLUSIVE, "another consumer has this queue for itself; stop that one, or name another"),
    (
        ACCESS_REFUSED,
        "",
        f"the user may not do that; widen its rights: {_GRANT}",
    ),
    (
        NOT_FOUND,
        "home node .*'celery_rs.facts'",
        (
            "if it stays so while all its nodes run, the broker was killed before the stream was written down; "
            f"have it forgotten, and the workers go on: {_FORGET_FACTS}"
        ),
    ),
    (NOT_FOUND, "home node", "start that node of the broker again"),
    (NOT_FOUND, "no queue", "it was deleted, or never declared; a worker that consumes it declares it"),
    (NOT_FOUND, "no exchange", "it was deleted, or never declared; name it in task_queues, so that it is declared"),
    (NOT_FOUND, "", "it was deleted, or never declared"),
    (
        RESOURCE_LOCKED,
        "",
        "it belongs to another connection; wait until that ends, or use a queue that is not exclusive",
    ),
    (
        PRECONDITION_FAILED,
        "delivery acknowledgement",
        "a task took longer than the broker's consumer_timeout; raise that in rabbitmq.conf, or shorten the task",
    ),
    (PRECONDITION_FAILED, "message size", "put the data elsewhere and send where it is, or raise its max_message_size"),
    (PRECONDITION_FAILED, "unknown delivery tag", "it has been acknowledged already; this is a fault of celery-rs"),
    (PRECONDITION_FAILED, "inequivalent arg", "it is there already with another value; declare it as it is there"),
    (PRECONDITION_FAILED, "invalid arg", "correct that argument in task_queues"),
    (
        501,
        "",
        "something in between changed the bytes, or it expects TLS; is this its port for amqp:// or for amqps://?",
    ),
    (502, "", "this is a fault of celery-rs, or something in between changed the bytes"),
    (
        503,
        "unknown exchange type",
        "a plugin of the broker brings it, see rabbitmq-plugins; or use direct, topic, fanout or headers",
    ),
    (503, "", "this is a fault of celery-rs"),
    (504, "", "this is a fault of celery-rs; the connection is opened again"),
    (505, "", "this is a fault of celery-rs; the connection is opened again"),
    (506, "", "it is short of memory, disk or file handles; look at its alarms: rabbitmqctl status"),
    (NOT_ALLOWED, "vhost .*not found", "create it, or name another in the URL: rabbitmqctl add_vhost '{vhost}'"),
    (NOT_ALLOWED, "limit", "too many are connected; close some, or raise that limit"),
    (
        NOT_ALLOWED,
        "access to vhost",
        f"let the user in, or name another virtual host in the URL: {_GRANT}",
    ),
    (NOT_IMPLEMENTED, "", "this broker cannot do that; is it a RabbitMQ of version 3.8 or newer?"),
    (541, "", "this is for its operator; look into its log"),
)

_DIFFERENT = re.compile(
    r"inequivalent arg '(?P<name>[^']*)' for (?P<kind>queue|exchange) '(?P<what>.*)' in vhost '(?P<vhost>.*?)': "
    r"received (?P<ours>.*?),? but current is (?P<theirs>.*)"
)
_VALUE = re.compile(r"(?:the value )?'(?P<value>.*?)'(?: of type '(?P<type>\w+)')?$")


class _Other(NamedTuple):
    """A queue or an exchange that is there already, and is different."""

    kind: str
    what: str
    name: str
    ours: str
    theirs: str
    vhost: str

    @classmethod
    def of(cls, said: str) -> "_Other | None":
        found = _DIFFERENT.match(said)
        if found is None:
            return None
        ours, theirs = _value(found["ours"]), _value(found["theirs"])
        return cls(found["kind"], found["what"], found["name"], ours, theirs, found["vhost"])

    def words(self) -> str:
        return (
            f"{self.kind} {self.what!r} is there already with another {self.name!r}: ours is {self.ours}, "
            f"theirs {self.theirs} ({self._advice()})"
        )

    def _advice(self) -> str:
        if self.kind == "exchange":
            return "declare it as it is there in task_queues, or use another name"
        return (
            f"declare it as it is there in task_queues, or delete it once it is empty: "
            f"rabbitmqctl delete_queue -p '{self.vhost}' '{self.what}'"
        )


def _value(said: str) -> str:
    """RabbitMQ says all values as texts, and the type beside them."""
    found = _VALUE.match(said)
    if found is None:
        return said
    value = found["value"]
    return repr(value) if found["type"] in ("longstr", "shortstr") else value
