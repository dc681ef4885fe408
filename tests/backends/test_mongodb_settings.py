"""From URL and mongodb_backend_settings to a MongoDB, and what is said of those that make no sense."""

import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pymongo
import pytest

from celery_rs.backends.mongodb import MongoBackend, open_store
from celery_rs.backends.mongodb.client import Place
from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.wire import TaskResult, encode_meta
from tests import mongodb_server
from tests.apps import make_app

SUCCESS = TaskResult("a", "SUCCESS", 0, encode_meta("a", "SUCCESS", None, now=0.0))


def place(url: str, given: Mapping[str, Any] | None = None) -> Place:
    backend = open_store(Opening(url, {}, {"mongodb_backend_settings": given}, None))
    with closing(backend):
        return backend._client.place


def arguments(url: str, given: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    return place(url, given).arguments


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb", "mongodb://localhost"),
        ("mongodb://", "mongodb://localhost"),
        ("mongodb:///jobs", "mongodb://localhost/jobs"),
        ("mongodb://one:1,two:2/jobs?replicaSet=rs", "mongodb://one:1,two:2/jobs?replicaSet=rs"),
        ("mongodb://me:secret@host/jobs", "mongodb://me:********@host/jobs"),
        ("mongodb+srv://me:secret@cluster.example/jobs", "mongodb+srv://me:********@cluster.example/jobs"),
    ],
)
def test_a_store_is_described_by_its_url_without_its_password(url: str, shown: str) -> None:
    with closing(make_app(result_backend=url)) as app:
        assert app.backend.describe() == shown
        assert repr(app.backend) == f"<MongoBackend: {shown}>"


def test_the_database_is_celery_or_what_the_url_or_the_settings_name() -> None:
    assert place("mongodb://h").database == "celery"
    assert place("mongodb://h/jobs").database == "jobs"
    assert place("mongodb+srv://h.example.com/jobs?retryWrites=true").database == "jobs"
    assert place("mongodb://h/jobs", {"database": "other"}).database == "other"


def test_the_settings_stand_before_the_url() -> None:
    given = {"max_pool_size": 3, "options": {"socketTimeoutMS": 1}, "connectTimeoutMS": 2, "user": "me"}

    found = arguments("mongodb://h/?socketTimeoutMS=9&tls=true", given)

    assert found["host"] == "mongodb://h/?socketTimeoutMS=9&tls=true"
    assert (found["maxPoolSize"], found["socketTimeoutMS"], found["connectTimeoutMS"]) == (3, 1, 2)
    assert (found["username"], found["serverSelectionTimeoutMS"]) == ("me", 5000)


def test_what_the_url_says_stands_before_what_we_would_choose() -> None:
    assert "socketTimeoutMS" not in arguments("mongodb://h/?socketTimeoutMS=9")
    assert arguments("mongodb://h")["socketTimeoutMS"] == 30_000


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ({"host": "one"}, ["one:27017"]),
        ({"host": "one", "port": 1}, ["one:1"]),
        ({"port": 1}, ["localhost:1"]),
        ({"host": ["one:1", "two"]}, ["one:1", "two:27017"]),
        ({"mongo_host": ["one:1"], "host": "two"}, ["one:1"]),
        ({"host": "mongodb://one:1"}, ["mongodb://one:1"]),
    ],
)
def test_a_host_in_the_settings_stands_before_the_urls(given: dict[str, Any], hosts: list[str]) -> None:
    found = arguments("mongodb://me:secret@h/?replicaSet=rs", given)

    assert found["host"] == hosts
    assert (found["username"], found["password"], found["replicaSet"]) == ("me", "secret", "rs")


def test_users_are_those_of_admin_as_in_celery_unless_said_otherwise() -> None:
    assert arguments("mongodb://me:secret@h/jobs")["authSource"] == "admin"
    assert "authSource" not in arguments("mongodb://me:secret@h/jobs?authSource=jobs")
    assert "authSource" not in arguments("mongodb://h/?authMechanism=MONGODB-X509&tls=true")


def test_the_client_takes_all_that() -> None:
    given: list[Mapping[str, Any]] = [{}, {"host": "one", "port": 1, "user": "me", "password": "secret"}]

    for settings in given:
        pymongo.MongoClient(**arguments("mongodb://me:secret@h/jobs?tls=true&w=majority", settings)).close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mongodb://me:se/cret@h", "expected a URL such as 'mongodb://127.0.0.1:27017/celery', got "),
        ("mongodb://h:port/", "expected a URL such as 'mongodb://127.0.0.1:27017/celery', got 'mongodb://h:port/'"),
    ],
)
def test_a_url_that_makes_no_sense_is_one_line_without_its_password(url: str, said: str) -> None:
    with closing(make_app(result_backend=url)) as app, pytest.raises(ImproperlyConfigured) as caught:
        app.backend.describe()

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert "se/cret" not in str(caught.value)


def test_settings_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="mongodb_backend_settings"):
        make_app(result_backend="mongodb://h", mongodb_backend_settings="jobs").backend.describe()


def test_an_option_that_the_client_does_not_know_is_one_line() -> None:
    app = make_app(result_backend="mongodb://h", mongodb_backend_settings={"sockettimeout": 3})

    with closing(app), pytest.raises(ImproperlyConfigured, match="result store mongodb://h: ") as caught:
        app.backend.fetch(["a"])

    assert "sockettimeout" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"mongodb://me:secret@127.0.0.1:{port}/?serverSelectionTimeoutMS=300"

    with closing(make_app(result_backend=url)) as app, pytest.raises(BackendError) as caught:
        app.backend.fetch(["a"])

    said = str(caught.value)
    assert said.startswith(
        f"result store mongodb://me:********@127.0.0.1:{port}/?serverSelectionTimeoutMS=300 cannot be"
    )
    assert "Connection refused" in said
    assert "\n" not in said
    assert "secret" not in said
    assert "configured timeouts" not in said


def test_a_server_that_does_not_answer_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?serverSelectionTimeoutMS=300&connectTimeoutMS=300"
        with closing(make_app(result_backend=url)) as app, pytest.raises(BackendError, match="cannot be reached: "):
            app.backend.fetch(["a"])


def test_without_pymongo_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pymongo'] = None; sys.modules['bson'] = None\n"
        "from celery_rs import Celery\n"
        "try: Celery('x', backend='mongodb://h').backend\n"
        "except Exception as error: print(error)"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip().endswith("; pip install 'celery-rs[mongodb]'")


needs_a_server = pytest.mark.skipif(
    not mongodb_server.answers(), reason="no server of MongoDB's protocol at CELERY_RS_TEST_MONGODB: run `make test`"
)


@needs_a_server
def test_mongodb_backend_settings_name_database_and_collections() -> None:
    database = f"celery_rs_{secrets.token_hex(6)}"
    names = {"database": database, "taskmeta_collection": "tasks", "groupmeta_collection": "groups"}
    app = make_app(result_backend=mongodb_server.URL, mongodb_backend_settings=names)
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongodb_server.URL)
    with closing(app), closing(client):
        assert isinstance(app.backend, MongoBackend)
        app.backend.store([SUCCESS])
        app.GroupResult("g", [app.AsyncResult("a")]).save()

        assert client[database]["tasks"].find_one({"_id": "a"}) is not None
        assert client[database]["groups"].find_one({"_id": "g"}) is not None
        client.drop_database(database)
