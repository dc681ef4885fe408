"""How a RabbitMQ is reached: logins, virtual hosts, TLS, failover lists, and what it refuses, each at a real server."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pika
import pytest

from celery_rs import Celery
from celery_rs.cli.output import ExitCode
from celery_rs.errors import ImproperlyConfigured, OperationalError
from celery_rs.transports.amqp import AmqpTransport, Server
from celery_rs.transports.amqp.errors import LinkLost
from celery_rs.transports.amqp.link import Link
from celery_rs.wire import Exchange, Queue
from tests.apps import make_app
from tests.deadlines import DEADLINE_S, eventually
from tests.rabbitmq_server import OwnRabbitMQ, has_rabbitmq
from tests.redis_server import free_port

NOBODY = "127.0.0.1:1"
"""A port at which nobody listens."""
PROGRAM = """
import json, os
from celery_rs import Celery
app = Celery("reaching")
app.conf.update(json.loads(os.environ["SETTINGS"]))

@app.task(name="t")
def t(): return 1
"""


class Rabbit(NamedTuple):
    """A server with two ports: one for TLS, with a certificate of its own for `localhost`."""

    server: OwnRabbitMQ
    tls_port: int
    certificate: Path

    @property
    def port(self) -> int:
        return self.server.port


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """With a user `visitor`, password `visitor`, who may enter no virtual host."""
    if not has_rabbitmq():
        pytest.skip("rabbitmq-server is not there: install RabbitMQ")
    directory = tmp_path_factory.mktemp("rabbitmq")
    certificate = directory / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", directory / "key.pem"],
        check=True, capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip
    port = free_port()
    server = OwnRabbitMQ(
        directory,
        f"listeners.ssl.default = 127.0.0.1:{port}",
        f"ssl_options.cacertfile = {certificate}",
        f"ssl_options.certfile = {certificate}",
        f"ssl_options.keyfile = {directory / 'key.pem'}",
        "ssl_options.verify = verify_none",
    )
    server.start()
    server.ctl("add_user", "visitor", "visitor")
    yield Rabbit(server, port, certificate)
    server.close()


@pytest.fixture
def name() -> str:
    """Of a queue, or of a virtual host, that no other test has."""
    return f"reaching-{uuid4().hex[:8]}"


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def client(**settings: Any) -> Iterator[Celery]:
    app = make_app(**settings, result_backend=None, task_publish_retry=False)
    try:
        yield app
    finally:
        app.close()


def amqp(app: Celery) -> AmqpTransport:
    assert isinstance(app.transport, AmqpTransport)
    return app.transport


def publishes(queue: str, **settings: Any) -> str:
    """Send a task with these settings, and see it in its queue; where the broker then is."""
    with client(**settings) as app:
        app.send_task("t", queue=queue)
        app.transport.flush(DEADLINE_S)
        assert app.transport.queues([queue])[queue].ready == 1
        return app.transport.describe()


def refused_client(**settings: Any) -> str:
    """What a call says that cannot be sent with these settings."""
    with client(**settings) as app, pytest.raises(OperationalError) as error:
        app.send_task("t")
    return str(error.value)


def refused_worker(folder: Path, **settings: Any) -> str:
    """What a worker says that cannot start with these settings, and tries once."""
    ended = subprocess.run(
        worker_command(folder),
        cwd=folder,
        env=worker_environment(broker_connection_retry_on_startup=False, **settings),
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    said = [line for line in ended.stderr.splitlines() if not line.startswith("Warning: running as root")]
    assert ended.returncode == ExitCode.UNAVAILABLE, ended.stderr
    assert [line for line in said if line.startswith("Error: ")] == said[-1:], ended.stderr
    assert "Traceback" not in ended.stderr
    return said[-1].removeprefix("Error: ")


def worker_command(folder: Path, *options: str) -> list[str]:
    (folder / "reaching.py").write_text(PROGRAM)
    return [sys.executable, "-m", "celery_rs", "-A", "reaching", "worker", "-n", "w", "-P", "solo", *options]


def worker_environment(**settings: Any) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.getcwd(), "SETTINGS": json.dumps({"result_backend": None, **settings})}


# What is refused


class Refusal(NamedTuple):
    """The broker's URL by a rabbit, the settings beside it, and what is said."""

    url: Callable[[Rabbit], str]
    says: tuple[str, ...]
    settings: Callable[[Rabbit], dict[str, Any]] = lambda rabbit: {}


REFUSALS = {
    "password": Refusal(
        lambda rabbit: f"amqp://guest:s3cret@127.0.0.1:{rabbit.port}//",
        ("refused: the login of 'guest' by PLAIN failed", "check the URL"),
    ),
    "user": Refusal(lambda rabbit: f"amqp://nobody:s3cret@127.0.0.1:{rabbit.port}//", ("the login of 'nobody'",)),
    "no virtual host": Refusal(
        lambda rabbit: f"amqp://127.0.0.1:{rabbit.port}/no-such",
        ("refused: vhost no-such not found", "rabbitmqctl add_vhost 'no-such'"),
    ),
    "no entry": Refusal(
        lambda rabbit: f"amqp://visitor:visitor@127.0.0.1:{rabbit.port}//",
        ("access to vhost '/' refused for user 'visitor'", "rabbitmqctl set_permissions -p '/' 'visitor'"),
    ),
    "no login by certificate": Refusal(
        lambda rabbit: f"amqp://127.0.0.1:{rabbit.port}//",
        ("does not let in by EXTERNAL, it offers", "PLAIN", "broker_login_method"),
        lambda rabbit: {"broker_login_method": "EXTERNAL"},
    ),
    "nobody there": Refusal(lambda rabbit: f"amqp://u:s3cret@{NOBODY}", ("cannot be reached: Connection refused",)),
    "no such host": Refusal(lambda rabbit: "amqp://u:s3cret@nowhere.invalid", ("cannot be reached: ",)),
    "no name of a host": Refusal(lambda rabbit: f"amqp://{'x' * 300}", ("cannot be reached: ",)),
    "TLS to a port without": Refusal(
        lambda rabbit: f"amqps://127.0.0.1:{rabbit.port}//", ("refused TLS: ", "does it speak TLS on this port?")
    ),
    "no TLS to a port with": Refusal(
        lambda rabbit: f"amqp://127.0.0.1:{rabbit.tls_port}//", ("expected a greeting", "does it want TLS", "amqps://")
    ),
    "a certificate that nobody vouches for": Refusal(
        lambda rabbit: f"amqps://localhost:{rabbit.tls_port}//", ("certificate that is not trusted", "'ca_certs'")
    ),
    "a certificate for another name": Refusal(
        lambda rabbit: f"amqps://localhost:{rabbit.tls_port}//",
        ("certificate that is not trusted", "Hostname mismatch", "'server_hostname'"),
        lambda rabbit: {"broker_use_ssl": {"ca_certs": str(rabbit.certificate), "server_hostname": "other"}},
    ),
    "all of a list": Refusal(
        lambda rabbit: f"amqp://{NOBODY};127.0.0.1:2", ("amqp://guest:********@127.0.0.1:1", "Connection refused")
    ),
}
refusals = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)


def is_one_line(said: str, says: tuple[str, ...]) -> None:
    assert [words for words in says if words not in said] == [], said
    assert said.startswith("broker amqp")
    assert "\n" not in said
    assert "s3cret" not in said


@refusals
def test_a_call_that_is_refused_says_in_one_line_what_to_do(rabbit: Rabbit, refusal: Refusal) -> None:
    said = refused_client(broker_url=refusal.url(rabbit), **refusal.settings(rabbit))

    is_one_line(said, refusal.says)


@refusals
def test_a_worker_that_is_refused_says_in_one_line_what_to_do(rabbit: Rabbit, refusal: Refusal, tmp_path: Path) -> None:
    said = refused_worker(tmp_path, broker_url=refusal.url(rabbit), **refusal.settings(rabbit))

    is_one_line(said, refusal.says)


def test_a_server_that_says_nothing_is_waited_for_as_long_as_broker_connection_timeout_says() -> None:
    with silent() as port:
        began = time.monotonic()

        said = refused_client(broker_url=f"amqp://127.0.0.1:{port}", broker_connection_timeout=0.2)

        assert time.monotonic() - began < 4.0, "the default"
    assert "gave no answer in time: expected a greeting; is there a RabbitMQ on this port" in said


def test_a_server_that_says_nothing_to_tls_is_waited_for_no_longer() -> None:
    with silent() as port:
        said = refused_client(broker_url=f"amqps://127.0.0.1:{port}", broker_connection_timeout=0.2)

    assert "no answer within 0.2 seconds; does it speak TLS on this port?" in said


def test_a_worker_gets_in_when_what_it_was_refused_is_there(rabbit: Rabbit, name: str, tmp_path: Path) -> None:
    log = tmp_path / "w.log"
    settings = {"broker_url": f"amqp://127.0.0.1:{rabbit.port}/{name}"}
    with log.open("w") as output:
        worker = subprocess.Popen(
            worker_command(tmp_path, "-l", "info"), cwd=tmp_path, env=worker_environment(**settings),
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        eventually(lambda: "Trying again in 2.00 seconds" in log.read_text())
        rabbit.server.ctl("add_vhost", name)
        rabbit.server.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        eventually(lambda: " ready." in log.read_text())
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)
    assert f"Cannot connect to amqp://guest:********@127.0.0.1:{rabbit.port}/{name}: refused: vhost" in log.read_text()
    assert "Traceback" not in log.read_text()


# What is there already, and is different

DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "priorities are theirs": ({"arguments": {"x-max-priority": 5}}, {}, ("'x-max-priority'", "is none, theirs 5")),
    "priorities are ours": ({}, {"max_priority": 5}, ("'x-max-priority'", "ours is 5, theirs none")),
    "both have priorities": (
        {"arguments": {"x-max-priority": 9}}, {"max_priority": 5}, ("'x-max-priority'", "ours is 5, theirs 9")
    ),
    "not durable": ({"durable": False}, {}, ("'durable'", "ours is true, theirs false")),
    "quorum": (
        {}, {"queue_arguments": {"x-queue-type": "quorum"}}, ("'x-queue-type'", "ours is 'quorum', theirs"),
    ),
}  # fmt: skip


@pytest.fixture(params=DIFFERENT.values(), ids=list(DIFFERENT))
def different(request: pytest.FixtureRequest, rabbit: Rabbit, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A queue that somebody has declared: settings that declare it otherwise, and what is said of it."""
    theirs, ours, says = request.param
    with pika.BlockingConnection(pika.URLParameters(rabbit.server.url)) as connection:
        connection.channel().queue_declare(name, **{"durable": True, **theirs})
    return (
        {"broker_url": rabbit.server.url, "task_default_queue": name, "task_queues": {name: ours}},
        (f"refused: queue {name!r} is there already with another", *says, "declare it as it is there", "delete_queue"),
    )


def test_a_call_to_a_queue_that_is_different_says_in_what(different: tuple[dict[str, Any], tuple[str, ...]]) -> None:
    settings, says = different

    is_one_line(refused_client(**settings), says)


def test_a_worker_of_a_queue_that_is_different_says_in_what(
    different: tuple[dict[str, Any], tuple[str, ...]], tmp_path: Path
) -> None:
    settings, says = different

    is_one_line(refused_worker(tmp_path, **settings), says)


def test_a_call_that_is_refused_keeps_no_other_from_being_sent(rabbit: Rabbit, name: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbit.server.url)) as connection:
        connection.channel().queue_declare(name, durable=False)
    with client(broker_url=rabbit.server.url) as app:
        app.send_task("t", queue=f"{name}-other")
        with pytest.raises(OperationalError, match="'durable'"):
            app.send_task("t", queue=name)
        app.send_task("t", queue=f"{name}-other")
        app.transport.flush(DEADLINE_S)

        assert app.transport.queues([f"{name}-other"])[f"{name}-other"].ready == 2


def test_a_call_tries_a_server_that_is_away_once_and_leaves_the_rest_to_its_retry_policy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    opening = Server.open

    def counted(server: Server, name: str, **options: Any) -> Link:
        tried.append(name)
        return opening(server, name, **options)

    monkeypatch.setattr(Server, "open", counted)

    refused_client(broker_url=f"amqp://{NOBODY}")

    assert len(tried) == 1


def test_what_is_not_confirmed_outlives_a_new_connection_that_is_lost_at_once(
    rabbit: Rabbit, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(publishes: object, until: float) -> None:
        raise LinkLost("lost at once")

    with client(broker_url=rabbit.server.url) as app:
        app.send_task("t", queue=name)
        app.transport.flush(DEADLINE_S)
        publisher = amqp(app)._publisher
        rabbit.server.pause()
        app.send_task("t", queue=name)  # written, and not confirmed

        with publisher._lock:
            assert publisher._link is not None
            publisher._link.forget()
            rabbit.server.resume()
            with monkeypatch.context() as patched:
                patched.setattr(publisher, "_ensure", lose)
                with pytest.raises(LinkLost, match="at once"):
                    publisher._republish(time.monotonic() + DEADLINE_S)
            kept = len(publisher._open)

        assert kept == 1
        assert app.transport.flush(DEADLINE_S) == 0


def test_a_call_after_the_broker_has_ended_the_connection_is_sent_over_another_one(rabbit: Rabbit, name: str) -> None:
    with client(broker_url=rabbit.server.url, broker_transport_options={"confirm_publish": True}) as app:
        app.send_task("t", queue=name)
        rabbit.server.ctl("close_all_connections", "a test says so")
        link = amqp(app)._publisher._link
        assert link is not None

        app.transport.queues([name])
        app.send_task("t", queue=name)

        assert "a test says so (an operator or a shutdown ended it" in str(link.lost)
        assert app.transport.queues([name])[name].ready == 2


def test_a_call_to_a_broker_that_is_short_of_memory_waits_and_then_says_so(rabbit: Rabbit, name: str) -> None:
    with client(broker_url=rabbit.server.url) as app:
        app.send_task("t", queue=name)
        rabbit.server.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            app.send_task("t", queue=name)  # RabbitMQ tells who sends
            link = amqp(app)._publisher._link
            assert link is not None
            assert link.wait(lambda: link.blocked, DEADLINE_S)

            with pytest.raises(OperationalError, match="takes no messages now: it is low on memory; try again"):
                app.send_task("t", queue=name, timeout=0.2)
        finally:
            rabbit.server.ctl("set_vm_memory_high_watermark", "0.4")
        app.send_task("t", queue=name)
        assert app.transport.flush(DEADLINE_S) == 0
        assert app.transport.queues([name])[name].ready == 3


# What lets in


def test_broker_use_ssl_is_tls(rabbit: Rabbit, name: str) -> None:
    trusting = {"ca_certs": str(rabbit.certificate), "server_hostname": None}

    where = publishes(name, broker_url=f"amqp://localhost:{rabbit.tls_port}//", broker_use_ssl=trusting)

    assert where == f"amqps://guest:********@localhost:{rabbit.tls_port}//"


def test_the_options_of_tls_may_stand_in_the_url(rabbit: Rabbit, name: str) -> None:
    publishes(name, broker_url=f"amqps://localhost:{rabbit.tls_port}//?ssl_ca_certs={rabbit.certificate}")


def test_many_large_messages_go_over_tls_in_both_directions(rabbit: Rabbit, name: str) -> None:
    with client(broker_url=f"amqps://localhost:{rabbit.tls_port}//?ssl_ca_certs={rabbit.certificate}") as app:
        for number in range(20):
            app.send_task("t", (number, "x" * 300_000), queue=name)
        consumer = app.transport.consume([name])
        came: list[Any] = []
        until = time.monotonic() + DEADLINE_S
        while len(came) < 20 and time.monotonic() < until:
            came += consumer.receive(20 - len(came), 1.0).deliveries
        consumer.close()

    assert len(came) == 20


@pytest.mark.parametrize("method", ["PLAIN", "AMQPLAIN"])
def test_broker_login_method_is_how_one_logs_in(rabbit: Rabbit, name: str, method: str) -> None:
    publishes(name, broker_url=rabbit.server.url, broker_login_method=method)

    wrong = rabbit.server.url.replace("guest:guest", "guest:s3cret")
    assert f"by {method} failed" in refused_client(broker_url=wrong, broker_login_method=method)


def test_a_virtual_host_may_have_any_name(rabbit: Rabbit, name: str) -> None:
    vhost = f"/{name}/ä b%"
    rabbit.server.ctl("add_vhost", vhost)
    rabbit.server.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")

    where = publishes("q", broker_url=f"amqp://127.0.0.1:{rabbit.port}/%2F{name}%2F%C3%A4%20b%25")

    assert where.endswith(f"/%2F{name}%2F%C3%A4%20b%25")


def test_the_next_server_of_a_list_is_used_where_one_is_away(
    rabbit: Rabbit, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    where = publishes(name, broker_url=f"amqp://guest:guest@{NOBODY}//;127.0.0.1:{rabbit.port}")

    assert where == f"amqp://guest:********@127.0.0.1:{rabbit.port}//"
    assert f"using {where}, since broker amqp://guest:********@{NOBODY}// cannot be reached" in caplog.text


def test_the_next_server_of_a_list_is_used_where_one_says_nothing(rabbit: Rabbit, name: str) -> None:
    with silent() as port:
        url = f"amqp://127.0.0.1:{port}//;127.0.0.1:{rabbit.port}"

        assert publishes(name, broker_url=url, broker_connection_timeout=0.3).endswith(f":{rabbit.port}//")


def test_a_worker_uses_the_next_server_of_a_list(rabbit: Rabbit, name: str, tmp_path: Path) -> None:
    log = tmp_path / "w.log"
    url = f"amqp://guest:guest@{NOBODY}//;127.0.0.1:{rabbit.port}"
    with log.open("w") as output:
        worker = subprocess.Popen(
            worker_command(tmp_path, "-l", "info", "-Q", name), cwd=tmp_path, env=worker_environment(broker_url=url),
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        eventually(lambda: " ready." in log.read_text() or worker.poll() is not None)
        with client(broker_url=url) as app:
            app.send_task("t", queue=name)
            eventually(lambda: "succeeded" in log.read_text())
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)
    assert f"Connected to amqp://guest:********@127.0.0.1:{rabbit.port}//" in log.read_text()


def test_broker_failover_strategy_is_the_order_in_which_servers_are_tried(rabbit: Rabbit, name: str) -> None:
    urls = f"amqp://127.0.0.1:{rabbit.port}//;localhost:{rabbit.port}"

    def last_first(given: list[str]) -> Iterator[str]:
        return iter(given[::-1])

    assert "@localhost:" in publishes(name, broker_url=urls, broker_failover_strategy=last_first)
    assert "@127.0.0.1:" in publishes(f"{name}-2", broker_url=urls, broker_failover_strategy="round-robin")


# What is agreed on


@pytest.mark.parametrize(("said", "agreed"), [(7, "7"), (0, "0"), (600, "60")])
def test_broker_heartbeat_is_how_often_a_worker_and_its_broker_hear_of_each_other(
    rabbit: Rabbit, name: str, said: int, agreed: str
) -> None:
    with client(broker_url=rabbit.server.url, broker_heartbeat=said) as app:
        app.transport.declare([Queue(name)])
        consumer = app.transport.consume([name])

        told = rabbit.server.ctl("list_connections", "user", "timeout", "client_properties")
        consumer.close()

    (of_worker,) = [line for line in told.splitlines() if "celery-rs worker" in line]
    assert of_worker.split("\t")[1] == agreed


def test_broker_heartbeat_checkrate_is_how_many_signs_of_life_are_given_in_that_time(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(broker_url=rabbit.server.url, broker_heartbeat_checkrate=5.0) as app:
        link = amqp(app).server.open("a test", heartbeat=50.0)
        opened = time.monotonic()
        sent: list[bytes] = []
        monkeypatch.setattr(link, "send", sent.append)

        link.beat(opened + 9.0)
        assert sent == []
        link.beat(opened + 10.0)
        assert len(sent) == 1
        link.forget()


def test_the_operator_of_the_broker_is_told_who_is_connected(rabbit: Rabbit) -> None:
    options = {"client_properties": {"team": "billing"}}
    with client(broker_url=rabbit.server.url, broker_transport_options=options) as app:
        link = amqp(app).server.open("a test of names")
        told = rabbit.server.ctl("list_connections", "client_properties")
        link.close()

    (mine,) = [line for line in told.splitlines() if "a test of names" in line]
    assert "celery-rs" in mine
    assert "billing" in mine


@pytest.mark.parametrize("type", ["quorum", "classic"])
def test_broker_native_delayed_delivery_queue_type_is_that_of_celerys_ladder(
    rabbit: Rabbit, name: str, type: str
) -> None:
    rabbit.server.ctl("add_vhost", name)
    rabbit.server.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
    queue = Queue(name, Exchange(name, "topic"), "a.#", queue_arguments={"x-queue-type": "quorum"})
    with client(
        broker_url=f"amqp://127.0.0.1:{rabbit.port}/{name}",
        broker_native_delayed_delivery_queue_type=type,
        task_queues=[queue],
    ) as app:
        app.transport.declare([queue])
        app.transport.consume([name]).close()

    told = rabbit.server.ctl("list_queues", "-p", name, "name", "type")
    assert f"celery_delayed_27\t{type}" in told.splitlines()


def test_with_confirm_publish_a_call_that_the_broker_does_not_take_says_so(rabbit: Rabbit, name: str) -> None:
    full = Queue(name, queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    with client(
        broker_url=rabbit.server.url, broker_transport_options={"confirm_publish": True}, task_queues=[full]
    ) as app:
        app.send_task("t", queue=name)

        with pytest.raises(OperationalError, match=r"refused 1 message.*full"):
            app.send_task("t", queue=name)


def test_a_setting_that_makes_no_sense_is_refused_before_anything_is_opened() -> None:
    with client(broker_url="amqp://h", broker_heartbeat=70_000) as app, pytest.raises(ImproperlyConfigured) as error:
        app.send_task("t")

    assert "settings of the broker: expected whole seconds, 0 for no heartbeats as 'heartbeat'" in str(error.value)


def test_a_user_who_may_not_read_dead_letters_is_told_so_at_once(rabbit: Rabbit, name: str) -> None:
    rabbit.server.ctl("add_vhost", name)
    rabbit.server.ctl("set_permissions", "-p", name, "visitor", ".*", ".*", "^celery_rs.unrouted$")

    with (
        client(broker_url=f"amqp://visitor:visitor@127.0.0.1:{rabbit.server.port}/{name}") as app,
        pytest.raises(OperationalError, match=r"access to queue 'celery_rs\.dead' .* refused for user 'visitor'"),
    ):
        app.transport.dead.page()
