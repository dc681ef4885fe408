"""broker_transport_options of a Redis, Kombu's names."""

from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.redis import Keys, RedisOptions
from celery_rs.transports.redis.keys import open_record, record_end


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"visibility_timout": 3}, "did you mean 'visibility_timeout'"),
        ({"colour": "red"}, "expected one of visibility_timeout"),
        ({"visibility_timeout": 0}, "a number of seconds above 0, 1000000000 at most as 'visibility_timeout', got 0"),
        ({"visibility_timeout": "1h"}, "got '1h'"),
        ({"priority_steps": [3, 6]}, "begins with 0"),
        ({"priority_steps": "0369"}, "whole numbers"),
        ({"fanout_prefix": "{nothing}"}, "fanout_prefix"),
        ({"queue_order_strategy": "random"}, "'round_robin', 'sorted' or 'priority'"),
        ({"sentinel_fanout_compat": True}, "older than 5.4"),
        ({"max_connections": -1}, "max_connections"),
        ({"socket_keepalive_options": 3}, "a dict"),
        ({"socket_keepalive_options": {"idle": 60}}, "a dict of numbers"),
        ({"socket_timeout": 1e300}, "1000000000 at most"),
        ({"health_check_interval": 10**400}, "health_check_interval"),
        ({"interval_max": 10**400}, "interval_max"),
        ({"global_keyprefix": "\ud800"}, "a string as 'global_keyprefix'"),
        ({"credential_provider": "me"}, "get_credentials"),
        ({"master_name": 10**400}, "master_name"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says) as error:
        RedisOptions.of(given)

    assert "\n" not in str(error.value)


def test_options_that_are_none_are_as_if_they_were_not_there() -> None:
    assert RedisOptions.of({"visibility_timeout": None, "socket_timeout": None}) == RedisOptions()


def test_options_of_the_connection_are_passed_on() -> None:
    options = RedisOptions.of({"socket_timeout": 3, "client_name": "me", "retry_on_timeout": True})

    assert options.connection == {"socket_timeout": 3.0, "client_name": "me"}
    assert options.socket_timeout == 3.0


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, b"q\x06\x166"),
        ({"sep": ":"}, b"q:6"),
        ({"global_keyprefix": "mine."}, b"mine.q\x06\x166"),
        ({"priority_steps": [0, 5]}, b"q\x06\x165"),
        ({"priority_steps": [0]}, b"q"),
    ],
)
def test_the_list_of_a_priority_is_kombus(options: dict[str, Any], key: bytes) -> None:
    assert Keys(RedisOptions.of(options), 0).queue("q", 8) == key


@pytest.mark.parametrize(("priority", "step"), [(-5, 0), (0, 0), (2, 0), (3, 3), (5, 3), (6, 6), (9, 9), (400, 9)])
def test_a_priority_belongs_to_the_step_below_it(priority: int, step: int) -> None:
    assert Keys(RedisOptions(), 0).step(priority) == step


@pytest.mark.parametrize(
    ("options", "channel"),
    [
        ({}, "/5.celeryev/task.sent"),
        ({"fanout_prefix": False}, "celeryev/task.sent"),
        ({"fanout_prefix": "all/"}, "all/celeryev/task.sent"),
        ({"fanout_patterns": False}, "/5.celeryev"),
        ({"global_keyprefix": "P"}, "P/5.celeryev/task.sent"),
    ],
)
def test_a_broadcast_goes_to_kombus_channel(options: dict[str, Any], channel: str) -> None:
    assert Keys(RedisOptions.of(options), 5).channel("celeryev", "task.sent") == channel


@pytest.mark.parametrize("queue", ["celery", 'a", "b', "\u2603 \\ \n", 'x", "y"]', ""])
def test_a_record_is_read_as_it_was_written(queue: str) -> None:

    envelope = b'{"body": "", "headers": {"a": ", \\"\\", "}}'

    assert open_record(b"[" + envelope + record_end(queue)) == (envelope, queue)


def test_kombus_own_record_is_read_too() -> None:

    assert open_record(b'[{"body": "x"}, "exchange", "key"]') == (b'{"body": "x"}', "key")


@pytest.mark.parametrize("rubbish", [b"", b"[]", b"[", b"{}", b'["a"]', b"\xff\x00"])
def test_a_record_that_nobody_can_have_written_is_no_reason_to_stop(rubbish: bytes) -> None:

    assert isinstance(open_record(rubbish), tuple)
