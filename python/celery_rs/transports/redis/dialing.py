"""A connection to a Redis up to its first command: TCP, the path of a socket or TLS; who we are, and which database.

redis-py does the same at the price of 17 MiB and a tenth of a second in every worker: it loads asyncio and the commands
of every module there is. Who packs its own commands needs none of that.
"""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hiredis

from celery_rs._core import pack_command
from celery_rs.errors import ImproperlyConfigured
from celery_rs.serializers import library

_VERIFIED = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_CHUNK = 1 << 16
_OF_SENTINELS = ("username", "password", "credential_provider", "client_name", "socket_timeout",
                 "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options")  # fmt: skip

# An idle connection whose other end has vanished is noticed within a minute.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}


def dial(
    where: str | tuple[str, int], options: Mapping[str, Any], tls: Mapping[str, Any] | None = None, db: int = 0
) -> socket.socket:
    """A socket to `where`, a path or an address, on which commands may be sent.

    `options` and `tls` are what redis-py calls a connection's arguments. Raises OSError, or the server's ReplyError.
    """
    line = _connected(where, options)
    try:
        line.settimeout(options.get("socket_timeout"))
        if tls is not None:
            assert not isinstance(where, str)
            line = _secured(line, where, tls)
        _introduce(line, options, db)
    except BaseException:
        line.close()
        raise
    return line


def find_master(
    sentinels: Sequence[tuple[str, int]], name: str | None, options: Mapping[str, Any], least_others: int
) -> tuple[str, int]:
    """The address of the master of that name, by the first sentinel that knows a living one.

    Raises ConnectionError where none does.
    """
    given = {key: value for key, value in options.items() if key in _OF_SENTINELS}
    tls = _tls_of_sentinels(options)
    asked: list[str] = []
    for address in sentinels:
        try:
            line = dial(address, given, tls)
            try:
                (found,) = answers = _ask(line, [("SENTINEL", "MASTERS")])
                _refuse(answers)
            finally:
                line.close()
        except OSError as error:
            asked.append(f"{address[0]}:{address[1]}: {error.strerror or str(error) or type(error).__name__}")
            continue
        for flat in found:
            master = dict(zip(flat[::2], flat[1::2], strict=True))
            if master[b"name"].decode() == name and _is_fit(master, least_others):
                return master[b"ip"].decode(), int(master[b"port"])
    raise ConnectionError(f"no master found for {name!r}" + (f": {', '.join(asked)}" if asked else ""))


def _is_fit(master: Mapping[bytes, bytes], least_others: int) -> bool:
    flags = master[b"flags"].split(b",")
    is_up = b"s_down" not in flags and b"o_down" not in flags
    return b"master" in flags and is_up and int(master[b"num-other-sentinels"]) >= least_others


def _tls_of_sentinels(options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    tls = {key: value for key, value in options.items() if key.startswith("ssl_")}
    unknown = options.keys() - tls.keys() - {*_OF_SENTINELS, "ssl"}
    if unknown:
        raise ImproperlyConfigured(
            f"sentinel_kwargs: expected {', '.join(_OF_SENTINELS)}, ssl or ssl_ options, got {min(unknown)!r}"
        )
    return tls if options.get("ssl") else None


def _connected(where: str | tuple[str, int], options: Mapping[str, Any]) -> socket.socket:
    patience = options.get("socket_connect_timeout")
    if isinstance(where, str):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(patience)
            line.connect(where)
        except BaseException:
            line.close()
            raise
        return line
    line = socket.create_connection(where, patience)
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if options.get("socket_keepalive", True):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in (options.get("socket_keepalive_options") or _KEEPALIVE).items():
                line.setsockopt(socket.IPPROTO_TCP, option, value)
    except BaseException:
        line.close()
        raise
    return line


def _secured(line: socket.socket, address: tuple[str, int], tls: Mapping[str, Any]) -> ssl.SSLSocket:
    verified = _VERIFIED[tls.get("ssl_cert_reqs", "required")]
    context = ssl.create_default_context()
    context.check_hostname = verified != ssl.CERT_NONE and tls.get("ssl_check_hostname", True)
    context.verify_mode = verified
    if tls.get("ssl_certfile"):
        context.load_cert_chain(tls["ssl_certfile"], tls.get("ssl_keyfile"), tls.get("ssl_password"))
    authorities = [tls.get(name) for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data")]
    if any(each is not None for each in authorities):
        context.load_verify_locations(*authorities)
    if tls.get("ssl_min_version") is not None:
        context.minimum_version = tls["ssl_min_version"]
    if tls.get("ssl_ciphers"):
        context.set_ciphers(tls["ssl_ciphers"])
    secured = context.wrap_socket(line, server_hostname=address[0])
    if tls.get("ssl_validate_ocsp"):
        _ask_for_revocation(secured, address, tls.get("ssl_ca_certs"))
    return secured


def _ask_for_revocation(line: ssl.SSLSocket, address: tuple[str, int], authority: str | None) -> None:
    """By redis-py, which asks the certificate's issuer with the help of `cryptography` and `requests`."""
    verifier = library("redis.ocsp", "ssl_validate_ocsp", None).OCSPVerifier(line, *address, authority)
    if not verifier.is_valid():
        line.close()
        raise ConnectionError("its certificate has been revoked, as OCSP says")


def _introduce(line: socket.socket, options: Mapping[str, Any], db: int) -> None:
    """Password, name and database in one write; what it runs on, too, so that a server that is none is noticed now."""
    commands: list[tuple[str | int, ...]] = []
    if (login := _login(options)) is not None:
        commands.append(("AUTH", *login))
    if options.get("client_name"):
        commands.append(("CLIENT", "SETNAME", options["client_name"]))
    if db:
        commands.append(("SELECT", db))
    said = [*commands, ("CLIENT", "SETINFO", "LIB-NAME", "celery-rs")]
    _refuse(_ask(line, said)[: len(commands)])  # an older server knows no SETINFO


def _login(options: Mapping[str, Any]) -> tuple[str, ...] | None:
    provider = options.get("credential_provider")
    if provider is not None:
        return tuple(provider.get_credentials())
    username, password = options.get("username"), options.get("password")
    if username:
        return username, password or ""
    return (password,) if password else None


def _ask(line: socket.socket, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
    """The answers, errors among them."""
    line.sendall(b"".join([pack_command(*command) for command in commands]))
    reader = hiredis.Reader()
    return [_answer(line.recv, reader) for _ in commands]


def _refuse(answers: Sequence[Any]) -> None:
    """Raises the first that is an error."""
    for answer in answers:
        if isinstance(answer, hiredis.ReplyError):
            raise answer


def _answer(receive: Callable[[int], bytes], reader: hiredis.Reader) -> Any:
    answer = reader.gets()
    while answer is False:
        data = receive(_CHUNK)
        if not data:
            raise ConnectionError("it has closed the connection")
        reader.feed(data)
        answer = reader.gets()
    return answer
