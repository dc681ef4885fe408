"""Settings of results in a Redis, and what is said of those that make no sense or of a store that refuses."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from celery_rs.backends import open_backend
from celery_rs.backends.redis import RedisBackend
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.transports import open_transport
from celery_rs.wire import ChordPart, TaskResult, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S, SOON_S
from tests.redis_server import OwnRedis

SUCCESS = TaskResult("a", "SUCCESS", 0, encode_meta("a", "SUCCESS", None, now=0.0))


@contextmanager
def opened(url: str, options: dict[str, Any] | None = None, **settings: Any) -> Iterator[RedisBackend]:
    """The store of an app with these settings."""
    app = make_app(result_backend=url, result_backend_transport_options=options or {}, **settings)
    backend = app.backend
    assert isinstance(backend, RedisBackend)
    with closing(app):
        yield backend


def client(backend: RedisBackend) -> dict[str, str]:
    """What the server says of our connection."""
    with backend.server.borrowed() as link:
        fields = link.call(b"CLIENT", b"INFO").decode().split()
    return dict(field.partition("=")[::2] for field in fields)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/3",
        "valkey://localhost",
        "rediss://localhost/0?ssl_cert_reqs=required",
        "redis+socket:///run/redis.sock?virtual_host=2",
        "redis://one/0;redis://two/0",
    ],
)
def test_urls_of_a_redis_open_it_without_connecting(url: str) -> None:
    with opened(url) as backend:
        assert backend.describe() in url


def test_sentinels_open_it_too() -> None:
    with opened("sentinel://one:26379/0;sentinel://two:26379/0", {"master_name": "mine"}) as backend:
        assert backend.describe().startswith("sentinel://one:26379")


@pytest.mark.parametrize(
    ("url", "options", "settings", "says"),
    [
        ("rediss://:secret@h/0", {}, {}, "ssl_cert_reqs"),
        ("redis://:secret@h/nonsense", {}, {}, "number"),
        ("redis://:secret@h/0", {"global_keyprefx": "p"}, {}, "result_backend_transport_options.*global_keyprefix"),
        ("redis://:secret@h/0", {"retry_policy": {"max_retries": "often"}}, {}, "retry_policy"),
        ("redis://:secret@h/0", {"socket_timeout": -1}, {}, "result_backend_transport_options.*seconds"),
        ("sentinel://:secret@h/0", {}, {}, "result_backend_transport_options.*master_name"),
        ("redis://:secret@h/0", {}, {"redis_backend_use_ssl": {"ssl_certs": 1}}, "ssl_ca_certs"),
        ("redis://:secret@h/0", {}, {"redis_backend_credential_provider": "builtins.object"}, "get_credentials"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    url: str, options: dict[str, Any], settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=says) as caught, opened(url, options, **settings):
        pass

    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_broker_and_store_of_one_database_are_written_in_one_step(some_redis: OwnRedis) -> None:
    transport = open_transport(some_redis.url, {})
    consumer = transport.consume(["q"])

    with opened(some_redis.url) as same, opened(some_redis.url[:-1] + "7") as elsewhere:
        assert consumer.commits(same)
        assert not consumer.commits(elsewhere)
    consumer.close()
    transport.close()


def test_timeouts_and_names_reach_the_connection(some_redis: OwnRedis) -> None:
    settings: dict[str, Any] = {
        "redis_socket_connect_timeout": 1.5,
        "redis_socket_keepalive": True,
        "redis_client_name": "results",
    }
    with opened(some_redis.url, **settings) as backend, backend.server.borrowed() as link:
        assert client(backend)["name"] == "results"
        assert backend.server._options.connection["socket_connect_timeout"] == 1.5
        assert link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_redis_max_connections_is_how_many_are_kept(some_redis: OwnRedis) -> None:
    def kept(**settings: Any) -> int:
        with opened(some_redis.url, **settings) as backend:
            server = backend.server
            with server.borrowed(), server.borrowed(), server.borrowed():
                pass
            return len(server._idle)

    assert kept() == 3
    assert kept(redis_max_connections=2) == 2


class Silent:
    """A server that takes connections and answers the first so many commands of each with OK."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self.asked = 0
        self._thread = threading.Thread(target=self._run, name="silent", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        taken = []
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                break
            taken.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        for connection in taken:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(1 << 16):
                if b"MGET" in data:
                    self.asked += 1
                else:
                    connection.sendall(b"+OK\r\n" * data.count(b"*"))
        except OSError:
            return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(DEADLINE_S)


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_redis_socket_timeout_is_how_long_an_answer_is_waited_for(silent: Silent) -> None:
    with opened(silent.url, redis_socket_timeout=0.1) as backend:
        began = time.monotonic()
        with pytest.raises(BackendError, match=f"^result store {silent.url} cannot be reached: no answer in time"):
            backend.fetch(["a"])

    assert time.monotonic() - began < SOON_S
    assert silent.asked == 1


def test_redis_retry_on_timeout_asks_once_more(silent: Silent) -> None:
    with (
        opened(silent.url, redis_socket_timeout=0.1, redis_retry_on_timeout=True) as backend,
        pytest.raises(BackendError, match="no answer in time"),
    ):
        backend.fetch(["a"])

    assert silent.asked == 2


def test_redis_backend_health_check_interval_tries_idle_connections(some_redis: OwnRedis) -> None:
    def pings(**settings: Any) -> int:
        with opened(some_redis.url, **settings) as backend:
            backend.fetch(["a"])
            with backend.server.borrowed() as link:
                link.used_at -= 5.0
            before = some_redis.call("INFO", "commandstats").decode().count("cmdstat_ping")
            some_redis.call("CONFIG", "RESETSTAT")
            backend.fetch(["a"])
            del before
            return int(b"cmdstat_ping" in some_redis.call("INFO", "commandstats"))

    assert pings() == 0
    assert pings(redis_backend_health_check_interval=3) == 1


class Provider:
    """Knows the password."""

    def get_credentials(self) -> tuple[str]:
        return ("of the provider",)


def test_redis_backend_credential_provider_knows_the_password(own_redis: OwnRedis) -> None:
    own_redis.call("CONFIG", "SET", "requirepass", "of the provider")

    for given in (Provider, Provider(), f"{__name__}.Provider"):
        with opened(own_redis.url, redis_backend_credential_provider=given) as backend:
            assert backend.fetch(["a"]) == {}


def test_redis_backend_use_ssl_is_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    directory = tmp_path / "redis"
    directory.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    redis = OwnRedis(
        directory, "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no",
    )  # fmt: skip
    redis.start()
    try:
        trusted = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(certificate)}
        with opened(f"redis://127.0.0.1:{port}/0", redis_backend_use_ssl=trusted) as backend:
            writer = threading.Timer(0.05, backend.store, [[SUCCESS]])
            writer.start()
            assert list(backend.watch(["a"], DEADLINE_S)) == [SUCCESS]
            writer.join()
        with (
            opened(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required") as backend,
            pytest.raises(BackendError, match="certificate is not trusted"),
        ):
            backend.fetch(["a"])
    finally:
        redis.close()


# What a store refuses


def test_a_wrong_password_is_named_and_not_repeated(own_redis: OwnRedis) -> None:
    own_redis.call("CONFIG", "SET", "requirepass", "right")

    with (
        opened(own_redis.url.replace("//", "//:wrong@")) as backend,
        pytest.raises(BackendError, match=r"^result store .*the user or password is wrong") as caught,
    ):
        backend.fetch(["a"])

    assert "wrong@" not in str(caught.value)


def test_a_missing_password_is_named(own_redis: OwnRedis) -> None:
    own_redis.call("CONFIG", "SET", "requirepass", "right")

    with opened(own_redis.url) as backend, pytest.raises(BackendError, match="it wants a password"):
        list(backend.watch(["a"], DEADLINE_S))


def test_a_database_that_is_not_there_is_named(own_redis: OwnRedis) -> None:
    with (
        opened(f"redis://127.0.0.1:{own_redis.port}/99") as backend,
        pytest.raises(BackendError, match="it has no such database"),
    ):
        backend.store([SUCCESS])


def test_a_full_store_is_named(own_redis: OwnRedis) -> None:
    own_redis.call("CONFIG", "SET", "maxmemory", "1")

    with opened(own_redis.url) as backend, pytest.raises(BackendError, match=r"^result store .*out of memory"):
        backend.store([SUCCESS])


def test_a_chord_whose_key_holds_something_else_is_named(own_redis: OwnRedis) -> None:
    own_redis.call("SET", "celery-taskset-meta-g.j", "x")

    with opened(own_redis.url) as backend, pytest.raises(BackendError, match="a key holds something else"):
        backend.claim_chords([ChordPart("g", "a", 0, "SUCCESS", b"1")], 10.0)


def test_a_user_who_may_not_subscribe_is_told_so(own_redis: OwnRedis) -> None:
    own_redis.call("ACL", "SETUSER", "me", "on", ">pw", "~*", "+@all", "resetchannels")

    with opened(own_redis.url.replace("//", "//me:pw@")) as backend, pytest.raises(BackendError, match="widen its ACL"):
        list(backend.watch(["a"], DEADLINE_S))


def test_get_says_what_is_wrong_with_its_store(own_redis: OwnRedis) -> None:
    app = make_app(result_backend=own_redis.url)
    own_redis.stop()

    with pytest.raises(BackendError, match=f"^result store {own_redis.url} cannot be reached: Connection refused$"):
        app.AsyncResult("a").get(timeout=DEADLINE_S)
    app.close()


@pytest.mark.parametrize(
    "garbage", [b"", b"garbage", b"[1]", b'{"state": "SUCCESS"}', b"\x80\x04", bytes(range(64))], ids=repr
)
def test_get_says_that_a_record_is_none(some_redis: OwnRedis, garbage: bytes) -> None:
    app = make_app(result_backend=some_redis.url)
    assert isinstance(app.backend, RedisBackend)
    some_redis.call("SET", app.backend.keys.record("garbage"), garbage)

    with pytest.raises(BackendError, match=r"^the result of task garbage in redis://.* cannot be read") as caught:
        app.AsyncResult("garbage").get(timeout=DEADLINE_S)

    assert "\n" not in str(caught.value)
    app.close()


def test_a_store_is_opened_for_its_settings_alone(some_redis: OwnRedis) -> None:
    backend = open_backend(some_redis.url, {}, expires=60)

    assert backend.fetch(["nothing"]) == {}
    backend.close()
