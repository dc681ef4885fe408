"""Who may use a MongoDB, and over what: users, TLS, and a server that says it is a replica set."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymongo
import pytest

from celery_rs.backends import ResultBackend, open_backend
from celery_rs.errors import BackendError
from celery_rs.wire import TaskResult, encode_meta
from tests.deadlines import DEADLINE_S
from tests.mongodb_server import OwnMongo, own_mongo

SUCCESS = TaskResult("a", "SUCCESS", 0, encode_meta("a", "SUCCESS", None, now=0.0))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMongo]:
    """A server that has the user `me` with the password `se/cret`, who may do anything, and `guest`, who may look."""
    folder = tmp_path_factory.mktemp("guarded")
    with own_mongo(folder) as server:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(server.url)
        client.admin.command("createUser", "me", pwd="se/cret", roles=["root"])
        client.admin.command("createUser", "guest", pwd="guest", roles=[{"role": "read", "db": "jobs"}])
        client.close()
    with own_mongo(folder, "--auth") as server:
        yield server


def opened(server: OwnMongo, user: str, **settings: Any) -> ResultBackend:
    return open_backend(f"mongodb://{user}@127.0.0.1:{server.port}/jobs", {}, expires=60, settings=settings)


def complaint(store: ResultBackend) -> str:
    with closing(store), pytest.raises(BackendError) as caught:
        store.store([SUCCESS])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_user_of_admin_is_let_in_whatever_database_the_url_names(guarded: OwnMongo) -> None:
    with closing(opened(guarded, "me:se%2Fcret")) as store:
        assert list(store.store([SUCCESS])) == [True]


def test_user_and_password_may_stand_in_the_settings(guarded: OwnMongo) -> None:
    given = {"user": "me", "password": "se/cret", "host": "127.0.0.1", "port": guarded.port, "database": "jobs"}

    with closing(open_backend("mongodb", {}, expires=60, settings={"mongodb_backend_settings": given})) as store:
        assert store.fetch(["unknown"]) == {}
        assert store.describe() == f"mongodb://127.0.0.1:{guarded.port}/jobs"


def test_a_wrong_password_is_one_line_without_it(guarded: OwnMongo) -> None:
    said = complaint(opened(guarded, "me:wr%2Fong"))

    assert said == (
        f"result store mongodb://me:********@127.0.0.1:{guarded.port}/jobs refuses user and password; "
        "see authSource if they are right"
    )


def test_a_user_who_may_not_write_is_told_so(guarded: OwnMongo) -> None:
    assert complaint(opened(guarded, "guest:guest")).endswith("the user may not read and write in database 'jobs'")


def test_a_server_is_asked_over_tls_and_its_certificate_checked(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key],
        check=True, capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip
    with own_mongo(tmp_path, "--tls-cert-file", str(certificate), "--tls-key-file", str(key)) as server:
        url = f"mongodb://localhost:{server.port}/jobs?tls=true&serverSelectionTimeoutMS=1000"
        with closing(open_backend(f"{url}&tlsCAFile={certificate}", {}, expires=60)) as store:
            assert list(store.store([SUCCESS])) == [True]

        assert "certificate verify failed" in complaint(open_backend(url, {}, expires=60))


def test_a_server_that_is_a_replica_set_is_found_by_its_name(tmp_path: Path) -> None:
    with own_mongo(tmp_path, standalone=False) as server:
        url = f"{server.url}jobs?replicaSet=secantus&w=majority"
        with closing(open_backend(url, {}, expires=60)) as store:
            assert list(store.store([SUCCESS])) == [True]
            assert store.fetch(["a"]) == {"a": SUCCESS}
