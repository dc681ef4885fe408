"""URLs: which adapter they open, and what the others are told."""

import re
import subprocess
import sys

import pytest

from celery_rs.backends import open_backend
from celery_rs.backends.disabled import DisabledBackend
from celery_rs.backends.memory import MemoryBackend
from celery_rs.backends.mongodb import MongoBackend
from celery_rs.backends.redis import RedisBackend
from celery_rs.backends.sql import SqlBackend
from celery_rs.backends.sqlite import SqliteBackend
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import open_transport
from celery_rs.transports.amqp import AmqpTransport
from celery_rs.transports.memory import MemoryTransport
from celery_rs.transports.redis import RedisTransport
from celery_rs.transports.sqlite import SqliteTransport
from tests.deadlines import DEADLINE_S


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://x", MemoryTransport),
        ("sqlite:///x.sqlite3", SqliteTransport),
        ("redis://h/0", RedisTransport),
        ("amqp://h", AmqpTransport),
        ("amqps://h", AmqpTransport),
        ("pyAMQP://h", AmqpTransport),
    ],
)
def test_a_broker_is_chosen_by_its_scheme(url, kind):
    assert isinstance(open_transport(url, {}), kind)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (None, DisabledBackend),
        ("disabled", DisabledBackend),
        ("disabled://", DisabledBackend),
        ("memory://x", MemoryBackend),
        ("sqlite:///x.sqlite3", SqliteBackend),
        ("redis://h/0", RedisBackend),
        ("db+sqlite://", SqlBackend),
        ("mongodb://h/db", MongoBackend),
        ("mongodb+srv://h.example.com/db", MongoBackend),
    ],
)
def test_a_result_store_is_chosen_by_its_scheme(url, kind):
    assert isinstance(open_backend(url, {}, expires=60), kind)


@pytest.mark.parametrize("scheme", ["librabbitmq", "sqs", "SQS", "filesystem"])
def test_a_broker_that_celery_knows_is_refused_by_name(scheme):
    with pytest.raises(ImproperlyConfigured, match=f"expected an amqp://, .* brokers like {scheme}:// are not"):
        open_transport(f"{scheme}://user:secret@host//", {})


@pytest.mark.parametrize("url", ["couchdb://h/db", "s3://", "consul://h"])
def test_a_store_that_celery_knows_is_refused_by_name(url):
    scheme = url.partition("://")[0]
    with pytest.raises(ImproperlyConfigured) as caught:
        open_backend(url, {}, expires=60)

    assert f"stores like {scheme}:// are not supported yet" in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://me:secret@h/db", "mysql+pymysql://h/db"])
def test_a_database_is_asked_for_with_db_before_it(url):
    scheme = url.partition("://")[0]

    with pytest.raises(ImproperlyConfigured, match=rf"did you mean db\+{re.escape(scheme)}://\?$"):
        open_backend(url, {}, expires=60)


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite", "nonsense://x", "redis"])
def test_a_url_that_makes_no_sense_is_quoted(url):
    with pytest.raises(ImproperlyConfigured) as caught:
        open_transport(url, {})

    assert "expected" in str(caught.value)
    assert url in str(caught.value)


def test_no_password_is_repeated():
    for opens in (lambda url: open_transport(url, {}), lambda url: open_backend(url, {}, expires=60)):
        for url in ("redis://:secret@h/x", "nonsense://me:secret@h/0"):
            with pytest.raises(ImproperlyConfigured) as caught:
                opens(url)
            assert "secret" not in str(caught.value)


def test_several_brokers_in_one_url_are_refused_with_what_to_do():
    with pytest.raises(ImproperlyConfigured, match="one broker"):
        open_transport("sqlite:///a.sqlite3;sqlite:///b.sqlite3", {})


def test_an_adapter_is_loaded_when_it_is_opened():
    script = (
        "import sys; from celery_rs.transports import open_transport; from celery_rs.backends import open_backend; "
        "assert 'sqlite3' not in sys.modules; open_transport('sqlite:///x', {}); assert 'sqlite3' in sys.modules"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=DEADLINE_S)
