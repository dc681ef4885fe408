"""How a Redis is reached: TLS, sockets, passwords, failover lists and sentinels, each against a real server."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celery_rs.errors import OperationalError
from tests.apps import make_app
from tests.deadlines import DEADLINE_S
from tests.redis_server import OwnRedis, free_port, own_redis

__all__ = ["own_redis"]  # a fixture

Start = Callable[..., OwnRedis]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Redis with these options besides the usual ones."""
    started: list[OwnRedis] = []

    def start(*options: str) -> OwnRedis:
        directory = tmp_path / f"redis-{len(started)}"
        directory.mkdir()
        redis = OwnRedis(directory, *options)
        started.append(redis)
        redis.start()
        return redis

    yield start
    for redis in started:
        redis.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of this machine's own name for itself, and its key beside it."""
    certificate = tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", tmp_path / "key.pem"],
        check=True, capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip
    return certificate


@pytest.fixture
def tls_port(start: Start, certificate: Path) -> int:
    """The port of a Redis that speaks TLS there."""
    port = free_port()
    start(
        "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-auth-clients", "no",
        "--tls-key-file", str(certificate.with_name("key.pem")), "--tls-ca-cert-file", str(certificate),
    )  # fmt: skip
    return port


def publishes(**settings: object) -> str:
    """Send a task with these settings, and see it in its queue; where the broker then is."""
    app = make_app(**settings)
    try:
        app.send_task("t")
        assert app.transport.queues(["celery"])["celery"].ready
        return app.transport.describe()
    finally:
        app.close()


def test_broker_use_ssl_is_tls(tls_port: int, certificate: Path) -> None:
    trusting = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificate)}

    publishes(broker_url=f"redis://localhost:{tls_port}/0", broker_use_ssl=trusting)


def test_the_options_of_tls_may_stand_in_the_url(tls_port: int, certificate: Path) -> None:
    publishes(broker_url=f"rediss://localhost:{tls_port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificate}")


def test_a_certificate_that_nobody_vouches_for_is_refused_when_it_is_looked_at(tls_port: int) -> None:
    with pytest.raises(OperationalError, match=r"certificate is not trusted.*ssl_ca_certs") as error:
        publishes(broker_url=f"rediss://localhost:{tls_port}/0?ssl_cert_reqs=required", task_publish_retry=False)

    assert "\n" not in str(error.value)


def test_without_a_word_about_certificates_none_is_looked_at_and_a_warning_says_so(
    tls_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    publishes(broker_url=f"rediss://localhost:{tls_port}/0")

    assert "certificate of rediss://localhost" in caplog.text


def test_tls_to_a_server_without_it_says_so(own_redis: OwnRedis) -> None:
    with pytest.raises(OperationalError, match=r"TLS|closed") as error:
        publishes(
            broker_url=own_redis.url.replace("redis://", "rediss://"),
            broker_transport_options={"socket_timeout": 0.5},  # such a server waits for more
            task_publish_retry=False,
        )

    assert "\n" not in str(error.value)


def test_a_socket_of_the_file_system_is_reached_by_its_path(start: Start, tmp_path: Path) -> None:
    start("--unixsocket", str(tmp_path / "redis.sock"))

    publishes(broker_url=f"redis+socket://{tmp_path / 'redis.sock'}?virtual_host=3")


@pytest.mark.parametrize(
    ("login", "says"),
    [("", r"NOAUTH.*redis://:password@host"), (":wrong@", r"WRONGPASS.*check the URL|invalid username")],
)
def test_a_password_that_is_missing_or_wrong_is_said(start: Start, login: str, says: str) -> None:
    redis = start("--requirepass", "s3cret")

    with pytest.raises(OperationalError, match=says) as error:
        publishes(broker_url=redis.url.replace("//", f"//{login}"), task_publish_retry=False)

    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)
    publishes(broker_url=redis.url.replace("//", "//:s3cret@"))


def test_a_database_that_is_not_there_is_said(own_redis: OwnRedis) -> None:
    with pytest.raises(OperationalError, match="no such database"):
        publishes(broker_url=own_redis.url.replace("/0", "/99"), task_publish_retry=False)


def test_the_next_server_of_a_list_is_used_where_one_is_away(own_redis: OwnRedis) -> None:
    url = f"redis://127.0.0.1:1/0;{own_redis.url}"

    assert publishes(broker_url=url) == own_redis.url


def test_broker_failover_strategy_is_the_order_in_which_servers_are_tried(own_redis: OwnRedis, start: Start) -> None:
    other = start()
    urls = f"{own_redis.url};{other.url}"

    assert publishes(broker_url=urls, broker_failover_strategy=lambda given: iter(list(given)[::-1])) == other.url
    assert publishes(broker_url=urls, broker_failover_strategy="round-robin") == own_redis.url


def test_broker_connection_timeout_is_how_long_a_connection_may_take() -> None:
    # A listener whose backlog is full answers nobody.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(address)
        began = time.monotonic()

        with pytest.raises(OperationalError, match="no answer in time"):
            publishes(
                broker_url=f"redis://127.0.0.1:{address[1]}/0", broker_connection_timeout=0.2, task_publish_retry=False
            )

        assert time.monotonic() - began < 4.0, "the default"
        for caller in callers:
            caller.close()


def test_a_call_waits_five_seconds_for_a_broker_that_hangs_and_not_for_ever(own_redis: OwnRedis) -> None:
    app = make_app(broker_url=own_redis.url)
    app.send_task("t")
    own_redis.pause()
    errors: list[OperationalError] = []

    def call() -> None:
        try:
            app.send_task("t")
        except OperationalError as error:
            errors.append(error)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    caller.join(DEADLINE_S)
    own_redis.resume()
    app.close()

    assert not caller.is_alive()
    (error,) = errors
    assert own_redis.url in str(error)


def test_a_master_is_found_by_its_sentinel(own_redis: OwnRedis, tmp_path: Path) -> None:
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mine 127.0.0.1 {own_redis.port} 1\n"
    )
    sentinel = subprocess.Popen(
        ["redis-server", str(configuration), "--sentinel"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert sentinel.stdout is not None
        assert any("+monitor master mine" in line for line in sentinel.stdout)

        publishes(broker_url=f"sentinel://127.0.0.1:{port}/2", broker_transport_options={"master_name": "mine"})

        assert own_redis.call(b"INFO", b"keyspace").count(b"db2:")
        with pytest.raises(OperationalError, match=r"theirs|No master found"):
            publishes(
                broker_url=f"sentinel://127.0.0.1:{port}/2",
                broker_transport_options={"master_name": "theirs"},
                task_publish_retry=False,
            )
    finally:
        sentinel.kill()
        sentinel.communicate(timeout=DEADLINE_S)
