"""What `inspect stats` says of the broker."""

from typing import Any

import pytest

from celery_rs.config import Settings, broker_info

KEYS = ("transport", "userid", "hostname", "port", "virtual_host", "ssl", "login_method")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", ("redis", None, None, 6379, "0", False, None)),
        ("redis://:pw@h:6380/5", ("redis", "", "h", 6380, "5", False, None)),
        ("rediss://me:pw@h/2", ("rediss", "me", "h", 6379, "2", True, None)),
        ("redis+socket:///run/redis.sock", ("redis+socket", None, None, None, "/run/redis.sock", False, None)),
        ("amqp://me:pw@h//", ("amqp", "me", "h", 5672, "/", False, "PLAIN")),
        ("amqps://h/fleet%20one", ("amqps", None, "h", 5671, "fleet one", True, "PLAIN")),
        ("sqlite:////data/tasks.sqlite3", ("sqlite", None, None, None, "/data/tasks.sqlite3", False, None)),
        ("memory://", ("memory", None, None, None, "/", False, None)),
    ],
)
def test_the_broker_is_told_in_parts(url: str, said: tuple[Any, ...]) -> None:
    info = broker_info(url, Settings())

    assert tuple(info[key] for key in KEYS) == said


def test_passwords_are_in_none_of_its_parts() -> None:
    conf = Settings({"broker_transport_options": {"sentinel_kwargs": {"password": "swordfish"}, "master_name": "m"}})

    info = broker_info("redis://:swordfish@a;redis://:swordfish@b/1", conf)

    assert "swordfish" not in repr(info)
    assert info["alternates"] == ["redis://:********@b/1"]
    assert info["transport_options"]["master_name"] == "m"
