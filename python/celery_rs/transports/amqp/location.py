"""From broker URLs to the RabbitMQ servers they name, and in which order those are tried.

`amqp://`, `pyamqp://`, and `amqps://` for TLS; several joined by `;` are a failover list. As in Kombu a later one takes
its port and its virtual host from the first where it names none, and without a scheme also that and the login.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from celery_rs.config import MASK, mask_url
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.amqp.tls import Tls, tls_of
from celery_rs.transports.failover import in_order

_TLS = {"amqp": False, "pyamqp": False, "amqps": True}
SCHEMES = tuple(_TLS)
LOGIN_METHODS = ("PLAIN", "AMQPLAIN", "EXTERNAL")
_USUAL = "amqp://user:password@host:5672/vhost"
_HARMLESS = "-._~!$&'()*+,=:"
"""What of a virtual host's name may stand in a URL as it is."""
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Place:
    """One server, how to log in, and where in it."""

    host: str = "localhost"
    port: int = 5672
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    vhost: str = "/"
    tls: ssl.SSLContext | None = None
    server_hostname: str = ""
    """The name that its certificate should have."""
    login_method: str = "PLAIN"
    heartbeat: float | None = None
    """Seconds, where the URL says so."""

    @property
    def shown(self) -> str:
        """For people, without the password. It is a URL as well."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        login = "" if self.login_method == "EXTERNAL" else f"{quote(self.user, safe='')}:{MASK}@"
        vhost = "/" if self.vhost == "/" else quote(self.vhost, safe=_HARMLESS)
        return f"amqp{'s' if self.tls else ''}://{login}{host}:{self.port}/{vhost}"

    def words(self) -> str:
        """The same with what it is, as errors begin."""
        return f"broker {self.shown}"


class Rotation:
    """Which server is tried first: of a failover list, the one that answered last. Any thread."""

    def __init__(self, places: Sequence[Place], failover: Any = None) -> None:
        """`failover` is broker_failover_strategy. Raises ImproperlyConfigured."""
        self._places = in_order(places, failover)
        self._first = 0

    def round(self) -> list[Place]:
        """All of them, in the order in which to try them."""
        first = self._first
        return self._places[first:] + self._places[:first]

    def answered(self, place: Place) -> bool:
        """This one is the first from now on; whether that is news."""
        at = self._places.index(place)
        is_news, self._first = at != self._first, at
        return is_news

    @property
    def place(self) -> Place:
        """The server in use."""
        return self._places[self._first]

    def words(self) -> str:
        """For people: the URL of the server in use."""
        return self.place.shown


def places_of(url: str, use_ssl: Any = None, login_method: str | None = None) -> list[Place]:
    """Every server that may be tried, in order. Raises ImproperlyConfigured.

    `use_ssl` is broker_use_ssl, `login_method` broker_login_method.
    """
    tls = tls_of(use_ssl)
    places: list[Place] = []
    for part in url.split(";"):
        if part or not places:
            places.append(_place(part, places[0] if places else None, tls, login_method))
    return places


def _place(url: str, first: Place | None, use_ssl: Tls | None, login_method: str | None) -> Place:
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if first is None or separator:
        _check_scheme(url, scheme if separator else "", first)
        likeness = None
    else:
        scheme, rest, likeness = "", url, first
    parts, query = _split(url, rest)
    tls = use_ssl or _tls(url, scheme, query, likeness)
    user, password = _login(parts, likeness)
    host = unquote(parts.hostname or "") or "localhost"
    return Place(
        host=host,
        port=parts.port or (first.port if first else 5671 if tls else 5672),
        user=user,
        password=password,
        vhost=_vhost(parts, url) or (first.vhost if first else "/"),
        tls=tls.context if tls else None,
        server_hostname=(tls.server_hostname if tls else None) or host,
        login_method=_login_method(query.get("login_method", login_method), url),
        heartbeat=_heartbeat(query, url),
    )


def _check_scheme(url: str, scheme: str, first: Place | None) -> None:
    if scheme not in _TLS:
        hint = "; the servers of a failover list must be of one kind" if first else ""
        raise ImproperlyConfigured(f"expected a URL such as {_USUAL!r}, got {mask_url(url)!r}{hint}")


def _tls(url: str, scheme: str, query: Mapping[str, str], likeness: Place | None) -> Tls | None:
    """As the URL says it, where no setting does."""
    if likeness is not None and likeness.tls is not None:
        named = likeness.server_hostname
        return Tls(likeness.tls, None if named == likeness.host else named)
    options = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if _TLS.get(scheme):
        return tls_of(options, mask_url(url))
    if options:
        raise ImproperlyConfigured(f"expected amqps:// where a URL has ssl_ options, got {mask_url(url)!r}")
    return None


def _vhost(parts: SplitResult, url: str) -> str:
    name = unquote(parts.path[1:])
    if len(name.encode()) > _LONGEST:
        raise ImproperlyConfigured(
            f"expected a virtual host of {_LONGEST} bytes at most, got {len(name.encode())} in {mask_url(url)!r}"
        )
    return name


def _split(url: str, rest: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        rest.encode()  # half a surrogate pair is no text that could be sent
        parts = urlsplit(f"//{rest}")
        parts.port  # noqa: B018  (raises for one that is no number)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        fits = not parts.fragment and "," not in parts.netloc.rpartition("@")[2]
    except ValueError:
        fits, parts, query = False, urlsplit("//"), {}
    if not fits:
        # What was read as a port may be half a password, so nothing of it is repeated.
        raise ImproperlyConfigured(
            f"expected a URL such as {_USUAL!r}, servers joined by ';', and / ? # @ : in its parts "
            f"written %2F %3F %23 %40 %3A, got {mask_url(url)!r}"
        )
    for name in query:
        if name not in ("heartbeat", "login_method") and not name.startswith("ssl_"):
            raise ImproperlyConfigured(
                f"expected heartbeat, login_method or ssl_... as an option in {mask_url(url)!r}, got {name!r}; "
                "others stand in broker_transport_options"
            )
    return parts, query


def _login(parts: SplitResult, first: Place | None) -> tuple[str, str]:
    if first is not None and parts.username is None:
        return first.user, first.password
    return unquote(parts.username or "") or "guest", unquote(parts.password or "") or "guest"


def _login_method(given: str | None, url: str) -> str:
    method = (given or "PLAIN").upper()
    if method not in LOGIN_METHODS:
        raise ImproperlyConfigured(
            f"expected {', '.join(LOGIN_METHODS)} as login_method for {mask_url(url)!r}, got {given!r}"
        )
    return method


def _heartbeat(query: Mapping[str, str], url: str) -> float | None:
    if "heartbeat" not in query:
        return None
    text = query["heartbeat"]
    if not text.isdecimal() or len(text) > 5:
        raise ImproperlyConfigured(f"expected whole seconds as heartbeat in {mask_url(url)!r}, got {text!r}")
    return float(text)
