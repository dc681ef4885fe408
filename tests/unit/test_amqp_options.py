"""broker_transport_options of a RabbitMQ, Kombu's and py-amqp's names."""

import socket
from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import open_transport
from celery_rs.transports.amqp import AmqpOptions


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"confirm_publsh": True}, "no option 'confirm_publsh'; did you mean 'confirm_publish'"),
        ({"colour": "red"}, "expected one of confirm_publish"),
        ({"confirm_publish": "yes"}, "True or False as 'confirm_publish', got 'yes'"),
        ({"connect_timeout": 0}, "a number of seconds above 0, 1000000000 at most as 'connect_timeout', got 0"),
        ({"connect_timeout": "4s"}, "got '4s'"),
        ({"heartbeat": 0.5}, "whole seconds"),
        ({"heartbeat": 10**400}, "heartbeat"),
        ({"login_method": "GSSAPI"}, "one of PLAIN, AMQPLAIN, EXTERNAL as 'login_method'"),
        ({"client_properties": {"x": object()}}, "client_properties"),
        ({"client_properties": {"x" * 256: 1}}, "client_properties"),
        ({"socket_settings": {"TCP_USER_TIMEOUT": 1}}, "a dict of numbers"),
        ({"native_delayed_delivery_queue_type": "stream"}, "'quorum' or 'classic'"),
        ({"visibility_timeout": 3600}, "'visibility_timeout': a RabbitMQ returns messages when a connection ends"),
        ({"password": "s3cret"}, "it stands in broker_url"),
        ({"ssl": True}, "say it in broker_use_ssl"),
        ({"on_blocked": print}, "nothing is called back here"),
        ({"max_retries": -1}, "max_retries"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        AmqpOptions.of(given)

    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)


def test_options_that_are_none_are_as_if_they_were_not_there() -> None:
    assert AmqpOptions.of({"confirm_publish": None, "connect_timeout": None}) == AmqpOptions()


def test_options_of_kombu_that_have_no_use_here_are_accepted() -> None:
    policy = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}

    assert AmqpOptions.of({"read_timeout": 5, "write_timeout": 5, "frame_max": 131072, **policy}) == AmqpOptions()


def test_options_are_kept() -> None:
    options = AmqpOptions.of(
        {"confirm_publish": 1, "login_method": "amqplain", "socket_settings": {socket.TCP_NODELAY: 1}}
    )

    assert options.confirm_publish is True
    assert options.login_method == "AMQPLAIN"
    assert options.socket_settings == {socket.TCP_NODELAY: 1}


def test_an_option_counts_more_than_a_setting() -> None:
    transport = open_transport(
        "amqp://h", {"heartbeat": 7}, connect_timeout=2, amqp={"heartbeat": 120, "login_method": None}
    )

    assert transport.server.options.heartbeat == 7.0  # type: ignore[attr-defined]  # a transport of RabbitMQ
    assert transport.server.options.connect_timeout == 2.0  # type: ignore[attr-defined]  # likewise
