"""From a URL to the RabbitMQ it names, and what of it is refused."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import open_transport
from celery_rs.transports.amqp import AmqpTransport
from celery_rs.transports.amqp.location import Place, Rotation, places_of
from tests.deadlines import DEADLINE_S

Parts = tuple[str, int, str, str, str]


def parts_of(place: Place) -> Parts:
    return place.host, place.port, place.user, place.password, place.vhost


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("amqp://", ("localhost", 5672, "guest", "guest", "/")),
        ("amqp://h", ("h", 5672, "guest", "guest", "/")),
        ("pyamqp://u@h", ("h", 5672, "u", "guest", "/")),
        ("AMQP://:p@h", ("h", 5672, "guest", "p", "/")),
        ("amqp://u:p@h:1/", ("h", 1, "u", "p", "/")),
        ("amqp://u:p@h:1//", ("h", 1, "u", "p", "/")),
        ("amqp://h/%2F", ("h", 5672, "guest", "guest", "/")),
        ("amqp://h/%2f%2F", ("h", 5672, "guest", "guest", "//")),
        ("amqp://h//foo", ("h", 5672, "guest", "guest", "/foo")),
        ("amqp://h/a/b", ("h", 5672, "guest", "guest", "a/b")),
        ("amqp://u%40x:p%2F%3A%23w@h/v", ("h", 5672, "u@x", "p/:#w", "v")),
        ("amqp://[::1]:5673/v", ("::1", 5673, "guest", "guest", "v")),
        ("amqps://h", ("h", 5671, "guest", "guest", "/")),
    ],
)
def test_a_url_is_a_place_and_what_it_leaves_out_is_the_usual(url: str, parts: Parts) -> None:
    (place,) = places_of(url)

    assert parts_of(place) == parts
    assert (place.tls is not None) == url.startswith("amqps")


@pytest.mark.parametrize(
    ("urls", "second"),
    [
        ("amqp://u:p@a:1/v;amqp://x:y@b:2/w", ("b", 2, "x", "y", "w")),
        ("amqp://u:p@a:1/v;amqp://b", ("b", 1, "guest", "guest", "v")),
        ("amqp://u:p@a:1/v;b", ("b", 1, "u", "p", "v")),
        ("amqp://u:p@a:1/v;b:2/w", ("b", 2, "u", "p", "w")),
        ("amqp://u:p@a:1/v;x:y@b;", ("b", 1, "x", "y", "v")),
    ],
)
def test_a_later_place_takes_from_the_first_what_it_does_not_name_as_in_kombu(urls: str, second: Parts) -> None:
    first, other = places_of(urls)

    assert parts_of(first) == ("a", 1, "u", "p", "v")
    assert parts_of(other) == second


def test_a_later_place_without_a_scheme_has_the_tls_of_the_first() -> None:
    first, other = places_of("amqps://a;b")

    assert other.tls is first.tls is not None
    assert other.server_hostname == "b"


def test_a_password_is_shown_nowhere() -> None:
    (place,) = places_of("amqp://me:s3cret@h:5672/v")

    assert place.words() == "broker amqp://me:********@h:5672/v"
    assert "s3cret" not in repr(place)


def test_a_url_may_say_how_to_log_in_and_how_often_to_give_a_sign_of_life() -> None:
    (place,) = places_of("amqp://h/v?login_method=EXTERNAL&heartbeat=30")

    assert (place.login_method, place.heartbeat) == ("EXTERNAL", 30.0)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://u:pa/s3cret@h/v", "written %2F"),
        ("amqp://u:pa#s3cret@h/v", "%23"),
        ("amqp://u:s3cret@h:port/v", "expected a URL such as"),
        ("amqp://u:s3cret@h:99999/v", "expected a URL such as"),
        ("amqp://u:s3cret@[::1/v", "expected a URL such as"),
        ("amqp://u:s3cret@a,b", "joined by ';'"),
        ("amqp://u:s3cret@h?speed=9", "got 'speed'; others stand in broker_transport_options"),
        ("amqp://u:s3cret@h?heartbeat=often", "expected whole seconds as heartbeat"),
        ("amqp://u:s3cret@h?login_method=GSSAPI", "expected PLAIN, AMQPLAIN, EXTERNAL"),
        ("amqp://u:s3cret@h?ssl_ca_certs=x", "expected amqps://"),
        ("amqps://u:s3cret@h?ssl_ca_cert=x", "did you mean 'ca_certs'"),
        ("amqp://u:s3cret@h;redis://h", "of one kind"),
        ("amqp://u:s3cret@h/" + "v" * 256, "a virtual host of 255 bytes at most, got 256"),
        ("amqp://u:\udcff@h", "expected a URL such as"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_in_one_line_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        open_transport(url, {})

    assert says in str(error.value)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_transport_is_opened_without_a_server() -> None:
    assert isinstance(open_transport("amqp://nowhere.invalid", {}), AmqpTransport)


# TLS


@pytest.mark.parametrize(
    ("use_ssl", "verifies", "compares", "name"),
    [
        (True, ssl.CERT_REQUIRED, False, "h"),
        ({}, ssl.CERT_REQUIRED, False, "h"),
        ({"server_hostname": None}, ssl.CERT_REQUIRED, True, "h"),
        ({"server_hostname": "rabbit"}, ssl.CERT_REQUIRED, True, "rabbit"),
        ({"cert_reqs": ssl.CERT_NONE}, ssl.CERT_NONE, False, "h"),
        ({"cert_reqs": 0, "server_hostname": None}, ssl.CERT_NONE, False, "h"),
        ({"ssl_cert_reqs": "optional"}, ssl.CERT_OPTIONAL, False, "h"),
        ({"cert_reqs": "CERT_REQUIRED", "ssl_version": ssl.PROTOCOL_TLS}, ssl.CERT_REQUIRED, False, "h"),
        ({"context": {"check_hostname": True}}, ssl.CERT_REQUIRED, True, "h"),
    ],
)
def test_broker_use_ssl_is_read_as_py_amqp_does(
    use_ssl: Any, verifies: ssl.VerifyMode, compares: bool, name: str
) -> None:
    (place,) = places_of("amqp://h", use_ssl)

    assert place.port == 5671
    assert place.tls is not None
    assert (place.tls.verify_mode, place.tls.check_hostname) == (verifies, compares)
    assert place.server_hostname == name


def test_versions_of_tls_may_be_bounded() -> None:
    (place,) = places_of("amqps://h", {"tls_minimum_version": ssl.TLSVersion.TLSv1_3, "tls_maximum_version": "TLSv1_3"})

    assert place.tls is not None
    assert place.tls.minimum_version == place.tls.maximum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("use_ssl", [None, False])
def test_no_tls_is_no_tls(use_ssl: Any) -> None:
    assert places_of("amqp://h", use_ssl)[0].tls is None


@pytest.mark.parametrize(
    ("use_ssl", "says"),
    [
        ("yes", "broker_use_ssl must be True or a dict"),
        ({"ca_cert": "x"}, "did you mean 'ca_certs'"),
        ({"colour": 1}, "expected one of ca_certs"),
        ({"ca_certs": "/no/such.pem"}, "cannot read 'ca_certs' '/no/such.pem'.*No such file"),
        ({"ca_certs": 5}, "a file's name as 'ca_certs', got 5"),
        ({"certfile": "/no/such.pem"}, "cannot read 'certfile'"),
        ({"keyfile": "/no/such.pem"}, "a 'certfile' beside 'keyfile'"),
        ({"cert_reqs": "maybe"}, "'required', 'optional' or 'none'"),
        ({"ciphers": "none such"}, "'ciphers' 'none such' is of no use"),
        ({"tls_minimum_version": "SSL"}, "a version such as 'TLSv1_2'"),
        ({"server_hostname": 5}, "a host's name"),
        ({"context": 5}, "as 'context', got 5"),
    ],
)
def test_broker_use_ssl_that_makes_no_sense_is_refused_in_one_line(use_ssl: Any, says: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=says) as error:
        places_of("amqp://h", use_ssl)

    assert "\n" not in str(error.value)


def test_a_file_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(ImproperlyConfigured, match=r"'ca_certs' '.*ca\.pem' is of no use"):
        places_of("amqp://h", {"ca_certs": str(tmp_path / "ca.pem")})


def test_the_options_of_tls_may_stand_in_the_url(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-out", tmp_path / "ca.pem", "-keyout", tmp_path / "key.pem"],
        check=True, capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip

    (place,) = places_of(f"amqps://h/v?ssl_ca_certs={tmp_path}/ca.pem&ssl_check_hostname=true")

    assert place.tls is not None
    assert place.tls.check_hostname
    assert len(place.tls.get_ca_certs()) == 1


# Failing over


def test_the_place_that_answered_last_is_tried_first() -> None:
    rotation = Rotation(places_of("amqp://a;b;c"))
    assert [place.host for place in rotation.round()] == ["a", "b", "c"]

    was_news = rotation.answered(rotation.round()[1])

    assert was_news
    assert [place.host for place in rotation.round()] == ["b", "c", "a"]
    assert not rotation.answered(rotation.round()[0])
    assert rotation.words() == "amqp://guest:********@b:5672//"


def test_a_strategy_of_ones_own_gives_the_order() -> None:
    rotation = Rotation(places_of("amqp://a;b;c"), lambda urls: reversed(urls))

    assert [place.host for place in rotation.round()] == ["c", "b", "a"]


def test_shuffle_is_any_order_of_all() -> None:
    assert sorted(place.host for place in Rotation(places_of("amqp://a;b;c"), "shuffle").round()) == ["a", "b", "c"]


@pytest.mark.parametrize("strategy", ["backwards", 5, lambda urls: iter(["amqp://else"]), lambda urls: iter([])])
def test_a_strategy_that_makes_no_sense_is_refused(strategy: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="broker_failover_strategy must"):
        Rotation(places_of("amqp://a;b"), strategy)
