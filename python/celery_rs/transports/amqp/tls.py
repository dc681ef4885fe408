"""What `broker_use_ssl` says about TLS to a RabbitMQ, py-amqp's names. Reads the files it names, opens nothing else."""

import difflib
import reprlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery_rs.errors import ImproperlyConfigured

_KEYS = (
    "ca_certs", "certfile", "keyfile", "cert_reqs", "server_hostname", "check_hostname", "ciphers", "password",
    "tls_minimum_version", "tls_maximum_version", "ssl_version", "context",
    "do_handshake_on_connect", "suppress_ragged_eofs", "server_side",
)  # fmt: skip
NAMES = frozenset(_KEYS)
_IN_CONTEXT = ("cafile", "capath", "cadata", "purpose", "check_hostname")
_CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Tls:
    """`server_hostname` is the name in the certificate, None for the host that is connected to."""

    context: ssl.SSLContext
    server_hostname: str | None = None


def tls_of(given: Any, setting: str = "broker_use_ssl") -> Tls | None:
    """`given` is True, or a dict of options; None is no TLS. Raises ImproperlyConfigured.

    As in Celery a certificate must come from an authority that is trusted (`ca_certs`, or the system's), and its name
    is compared where `server_hostname` is there: None there is the host of the URL.
    """
    if not given and not isinstance(given, Mapping):
        return None
    if given is True:
        given = {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"{setting} must be True or a dict such as {{'ca_certs': 'ca.pem'}}, got {reprlib.repr(given)}"
        )
    options = {_known(name, setting): value for name, value in given.items()}
    name = options.get("server_hostname")
    if name is not None and not isinstance(name, str):
        raise ImproperlyConfigured(f"{setting}: expected a host's name as 'server_hostname', got {reprlib.repr(name)}")
    options.setdefault("check_hostname", "server_hostname" in options)
    inner = options.pop("context", None)
    if inner is not None:
        options |= _of_context(inner, setting)
    return Tls(_context(options, setting), name)


def _known(name: Any, setting: str) -> str:
    """Redis has the same options with `ssl_` before their names; so have URLs."""
    bare = str(name)
    if bare not in NAMES:
        bare = bare.removeprefix("ssl_")
    if bare not in NAMES:
        close = difflib.get_close_matches(str(name), NAMES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_KEYS)}"
        raise ImproperlyConfigured(f"{setting}: TLS knows no option {name!r}; {hint}")
    return bare


def _of_context(given: Any, setting: str) -> dict[str, Any]:
    """py-amqp's other way to say it: arguments of `ssl.create_default_context`."""
    if not isinstance(given, Mapping) or any(name not in _IN_CONTEXT for name in given):
        raise ImproperlyConfigured(
            f"{setting}: expected a dict of {', '.join(_IN_CONTEXT)} as 'context', got {reprlib.repr(given)}"
        )
    return dict(given)


def _context(options: Mapping[str, Any], setting: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = _cert_reqs(options.get("cert_reqs"), setting)
    context.check_hostname = context.verify_mode != ssl.CERT_NONE and _flag(options, "check_hostname", setting)
    for bound in ("minimum_version", "maximum_version"):
        version = options.get(f"tls_{bound}")
        if version is not None:
            setattr(context, bound, _version(version, f"tls_{bound}", setting))
    if options.get("certfile") is not None:
        _load(
            setting, "certfile", options["certfile"],
            lambda: context.load_cert_chain(options["certfile"], options.get("keyfile"), options.get("password")),
        )  # fmt: skip
    elif options.get("keyfile") is not None:
        raise ImproperlyConfigured(f"{setting}: expected a 'certfile' beside 'keyfile', got none")
    trusted = (options.get("ca_certs") or options.get("cafile"), options.get("capath"), options.get("cadata"))
    if any(trusted):
        _load(setting, "ca_certs", trusted[0] or trusted[1], lambda: context.load_verify_locations(*trusted))
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs()
    if options.get("ciphers") is not None:
        _load(setting, "ciphers", options["ciphers"], lambda: context.set_ciphers(options["ciphers"]))
    return context


def _load(setting: str, name: str, value: Any, load: Any) -> None:
    try:
        load()
    except ssl.SSLError as error:
        reason = tls_reason(error)
        raise ImproperlyConfigured(f"{setting}: {name!r} {reprlib.repr(value)} is of no use: {reason}") from None
    except OSError as error:
        raise ImproperlyConfigured(
            f"{setting}: cannot read {name!r} {str(value)!r} or what belongs to it: {error.strerror or error}"
        ) from None
    except (TypeError, ValueError):
        raise ImproperlyConfigured(
            f"{setting}: expected a file's name as {name!r}, got {reprlib.repr(value)}"
        ) from None


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it, which not every error has."""
    said = getattr(error, "reason", None) or (error.args[-1] if error.args else "no reason given")
    return str(said).replace("_", " ").lower()


def _flag(options: Mapping[str, Any], name: str, setting: str) -> bool:
    """A URL says it in letters."""
    value = options[name]
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "none": False}
    if str(value).lower() not in words:
        raise ImproperlyConfigured(f"{setting}: expected True or False as {name!r}, got {reprlib.repr(value)}")
    return words[str(value).lower()]


def _cert_reqs(value: Any, setting: str) -> ssl.VerifyMode:
    """By its name, or as the constant."""
    if value is None:
        return ssl.CERT_REQUIRED
    word = str(getattr(value, "name", value)).removeprefix("VerifyMode.").removeprefix("CERT_").lower()
    if word in _CERT_REQS:
        return _CERT_REQS[word]
    if type(value) is int and value in (0, 1, 2):
        return ssl.VerifyMode(value)
    raise ImproperlyConfigured(
        f"{setting}: expected 'required', 'optional' or 'none' as 'cert_reqs', got {reprlib.repr(value)}"
    )


def _version(value: Any, name: str, setting: str) -> ssl.TLSVersion:
    """By its name, as a URL says it, or as it is."""
    for version in ssl.TLSVersion:
        if (type(value) is int and value == version) or str(value) in (
            version.name,
            str(int(version)),
            f"TLSVersion.{version.name}",
        ):
            return version
    raise ImproperlyConfigured(
        f"{setting}: expected a version such as 'TLSv1_2' as {name!r}, got {reprlib.repr(value)}"
    )
