"""What goes wrong between us and a Redis, in one line that says what to do about it."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import hiredis

from celery_rs.errors import OperationalError

_ADVICE = (
    ("WRONGPASS", "the user or password is wrong; check the URL"),
    ("NOAUTH", "it wants a password; name one in the URL: redis://:password@host"),
    ("NOPERM", "this user may not do that; widen its ACL"),
    ("user executing the script", "this user may not do that; widen its ACL"),
    ("OOM", "it is out of memory; free some or raise maxmemory"),
    ("READONLY", "it is a replica; name the master, or use sentinel://"),
    ("LOADING", "it is still loading its data"),
    ("MASTERDOWN", "its master is gone; wait for the failover"),
    ("MISCONF", "it cannot write its snapshot, so it refuses writes; look at its disk"),
    ("NOREPLICAS", "too few replicas are connected for it to accept writes"),
    ("CLUSTERDOWN", "Redis Cluster is not supported; name a single Redis or a sentinel://"),
    ("MOVED", "Redis Cluster is not supported; name a single Redis or a sentinel://"),
    ("username-password", "the user or password is wrong; check the URL"),
    ("DB index", "it has no such database; check the number at the end of the URL"),
    ("WRONGTYPE", "a key holds something else; use another database or a global_keyprefix"),
    ("unknown command", "it is older than Redis 6.2; upgrade it"),
    ("unknown redis command", "it is older than Redis 6.2; upgrade it"),
    ("wrong number of args", "it is older than Redis 6.2; upgrade it"),
)
_PLACE = re.compile(r" script: [0-9a-f]{40}, on @user_script:\d+\.?$")
"""Where in a script of ours it has failed, which helps nobody."""


class LinkLost(OperationalError):
    """The connection is gone; what was under way on it may or may not have happened."""

    was_silent = False
    """Whether an answer did not come in time."""


class Refused(OperationalError):
    """The server has answered, with an error, whose first word is its `kind`."""

    kind = ""


def refusal(where: str, reply: Exception) -> Refused:
    """The server's own words, and what they call for. `where` is what the server is and its URL."""
    said = _PLACE.sub("", str(reply)).removeprefix("ERR ").rstrip(".")
    advice = next((todo for word, todo in _ADVICE if word.lower() in said.lower()), "")
    refused = Refused(f"{where} refused: {said}" + (f" ({advice})" if advice else ""))
    refused.kind = said.partition(" ")[0]
    return refused


def lost(where: str, error: BaseException) -> LinkLost:
    """The reason, as the operating system or TLS names it."""
    found = LinkLost(f"{where} cannot be reached: {_reason(error)}")
    found.was_silent = _is_timeout(error)
    return found


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    for candidate in (error, cause):
        if isinstance(candidate, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {candidate.verify_message}; name its CA in ssl_ca_certs"
        if isinstance(candidate, ssl.SSLError):
            return f"TLS failed: {candidate.reason or candidate}; does the server speak TLS on this port?"
    if _is_timeout(error):
        return "no answer in time"
    for candidate in (error, cause):
        if isinstance(candidate, OSError) and candidate.strerror:
            return candidate.strerror
    return str(error).strip(". ") or type(error).__name__


@contextmanager
def in_words_of_the_broker(where: str, *, speaks_tls: bool = False) -> Iterator[None]:
    """Around dialing: its errors are ours afterwards. A server without TLS is silent when it is spoken."""
    try:
        yield
    except hiredis.ReplyError as error:
        raise refusal(where, error) from None
    except OSError as error:
        hint = "; does it speak TLS on this port?" if speaks_tls and _is_timeout(error) else ""
        raise LinkLost(f"{lost(where, error)}{hint}") from None


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)
