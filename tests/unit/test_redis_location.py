"""From a URL to the Redis it names, and what of it is refused."""

import ssl

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import open_transport
from celery_rs.transports.failover import in_order
from celery_rs.transports.redis import RedisTransport
from celery_rs.transports.redis.location import locations, tls_options


def test_a_plain_url_is_one_server() -> None:
    (place,) = locations("redis://me:p%40ss@host:6380/3")

    assert (place.kind, place.hosts, place.db) == ("tcp", (("host", 6380),), 3)
    assert place.login == {"username": "me", "password": "p@ss"}
    assert place.tls is None
    assert "p%40ss" not in place.shown


@pytest.mark.parametrize(
    "url", ["redis://", "redis://localhost", "redis://localhost:6379/", "valkey://localhost:6379/0"]
)
def test_what_a_url_leaves_out_is_the_usual(url: str) -> None:
    (place,) = locations(url)

    assert (place.hosts, place.db) == ((("localhost", 6379),), 0)


@pytest.mark.parametrize(
    ("url", "path", "db"),
    [
        ("redis+socket:///run/redis.sock", "/run/redis.sock", 0),
        ("redis+socket:///run/redis.sock?virtual_host=4", "/run/redis.sock", 4),
        ("redis+socket:///run/my%20redis.sock?db=2", "/run/my redis.sock", 2),
    ],
)
def test_a_socket_is_a_path(url: str, path: str, db: int) -> None:
    (place,) = locations(url)

    assert (place.kind, place.path, place.db) == ("socket", path, db)


def test_the_options_of_tls_stand_in_the_url() -> None:
    (place,) = locations("rediss://host/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/ca.pem&ssl_check_hostname=false")

    assert place.tls == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False}


def test_the_options_of_tls_may_be_a_setting() -> None:
    assert tls_options({"ssl_cert_reqs": ssl.CERT_NONE, "ssl_keyfile": "/k"}) == {
        "ssl_cert_reqs": "none",
        "ssl_keyfile": "/k",
    }
    assert tls_options(True) == {}
    assert tls_options(False) is None


def test_several_urls_are_tried_in_turn() -> None:
    places = locations("redis://one/1;redis://two/1;rediss://three/1")

    assert [place.hosts[0][0] for place in places] == ["one", "two", "three"]


def test_sentinels_are_one_place() -> None:
    (place,) = locations("sentinel://:pw@one:26379;sentinel://two;sentinel://three:5000/2")

    assert place.kind == "sentinel"
    assert place.hosts == (("one", 26379), ("two", 26379), ("three", 5000))
    assert (place.db, place.login) == (2, {"password": "pw"})


def test_sentinels_need_the_name_of_a_master() -> None:
    with pytest.raises(ImproperlyConfigured, match="master_name"):
        open_transport("sentinel://one", {})

    assert isinstance(open_transport("sentinel://one", {"master_name": "mine"}), RedisTransport)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://host/mail", "database of a Redis is a number, .* got 'mail'"),
        ("redis://host:port/0", "no URL of a Redis"),
        ("redis://host:99999/0", "no URL of a Redis"),
        ("redis://host/0?colour=red", "got 'colour'"),
        ("redis://host/0?ssl_cert_reqs=none", "expected rediss://"),
        ("rediss://host/0?ssl_cert_reqs=maybe", "'required', 'optional' or 'none'"),
        ("redis://one,two/0", "joined by ';'"),
        ("redis+socket://host/path", "redis\\+socket:///path"),
        ("redis://one/0;amqp://two", "must be of one kind"),
        ("redis://host/0?socket_timeout=soon", "number of seconds"),
        ("redis://host/0?socket_timeout=nan", "number of seconds"),
        ("redis://host/0?socket_connect_timeout=-5", "number of seconds"),
        ("redis://host/0?socket_connect_timeout=1e300", "number of seconds"),
        ("redis://host/" + "9" * 5000, "database of a Redis is a number"),
        ("rediss://host/0?ssl_min_version=new", "a version such as 'TLSv1_2'"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says) as error:
        locations(url)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", ["yes", 3, {"ssl_colour": "red"}, {"ssl_cert_reqs": "maybe"}])
def test_options_of_tls_that_make_no_sense_are_refused(given: object) -> None:
    with pytest.raises(ImproperlyConfigured):
        tls_options(given)


def test_the_order_of_a_failover_list_is_as_the_strategy_says() -> None:
    places = locations("redis://one;redis://two;redis://three")

    assert in_order(places, None) == in_order(places, "round-robin") == places
    assert sorted(in_order(places, "shuffle")) == sorted(places)
    assert in_order(places, lambda urls: iter(urls[::-1])) == places[::-1]


@pytest.mark.parametrize("strategy", ["sometimes", 3, lambda urls: iter(["redis://elsewhere"]), lambda urls: iter([])])
def test_a_strategy_that_makes_no_sense_is_refused(strategy: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="broker_failover_strategy"):
        in_order(locations("redis://one;redis://two"), strategy)
