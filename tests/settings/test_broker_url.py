"""Which broker the settings name, by whatever combination of them."""

from typing import Any

import pytest

from celery_rs.config import Purpose, Settings, broker_url
from tests.apps import make_app


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, None),
        ({"broker_host": "h"}, "amqp://h"),
        ({"broker_host": "h", "broker_port": 5673, "broker_vhost": "v"}, "amqp://h:5673/v"),
        ({"broker_vhost": "/"}, "amqp://localhost/%2F"),
        ({"broker_user": "me", "broker_password": "p/w@"}, "amqp://me:p%2Fw%40@localhost"),
        ({"broker_host": "h", "broker_transport": "redis"}, "redis://h"),
        ({"broker_host": "h", "broker_url": "memory://m"}, "memory://m"),
        ({"BROKER_HOST": "h", "BROKER_PORT": "5673"}, "amqp://h:5673"),
    ],
)
def test_the_parts_of_a_broker_make_its_url(settings: dict[str, Any], url: str | None) -> None:
    assert broker_url(Settings(settings), "write") == url


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"broker_transport": "memory"}, "memory://"),
        ({"broker_transport": "memory", "broker_url": "redis://m"}, "memory://m"),
        ({"broker_transport": "rediss", "broker_url": "redis://u:p@h/0"}, "rediss://u:p@h/0"),
    ],
)
def test_broker_transport_is_the_kind_of_the_broker(settings: dict[str, Any], url: str) -> None:
    assert broker_url(Settings(settings), "read") == url


@pytest.mark.parametrize(("purpose", "url"), [("read", "memory://r"), ("write", "memory://w")])
def test_a_purpose_has_its_own_url_or_the_joint_one(purpose: Purpose, url: str) -> None:
    conf = Settings({"broker_url": "memory://both", f"broker_{purpose}_url": url})

    assert broker_url(conf, purpose) == url
    assert broker_url(conf, "write" if purpose == "read" else "read") == "memory://both"


def test_reading_and_writing_may_have_brokers_of_their_own() -> None:
    app = make_app(broker_write_url="memory://write-side", broker_read_url="memory://read-side")

    app.send_task("t")

    for transport, waiting in ((app.transport, 1), (app.read_transport, 0)):
        consumer = transport.consume(["celery"])
        assert len(consumer.receive(9, 0).deliveries) == waiting
        consumer.close()
    app.close()


def test_one_broker_is_one_connection() -> None:
    app = make_app()

    assert app.read_transport is app.transport


def test_several_urls_are_one_string_as_celery_joins_them() -> None:
    assert Settings({"broker_url": ["memory://a", "memory://b"]}).broker_url == "memory://a;memory://b"


@pytest.mark.parametrize("purpose", ["READ", "WRITE"])
def test_the_environment_names_brokers_for_one_purpose(purpose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CELERY_BROKER_{purpose}_URL", "memory://environment")
    conf = Settings({f"broker_{purpose.lower()}_url": "memory://set", "broker_url": "memory://both"})

    assert conf[f"broker_{purpose.lower()}_url"] == "memory://environment"
    assert getattr(conf, f"broker_{purpose.lower()}_url") == "memory://environment"


def test_a_purpose_without_a_url_shows_the_joint_one() -> None:
    conf = Settings({"broker_url": "memory://both"})

    assert conf.broker_read_url == conf.broker_write_url == "memory://both"
