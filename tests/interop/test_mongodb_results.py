"""Results in a MongoDB, beside real Celery: each side reads what the other has stored, in one database."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests import mongodb_server
from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import MODULE, SAVER, SETTINGS, reads_what_is_written

pytestmark = [
    pytest.mark.parametrize("broker", ["redis"], indirect=True),
    pytest.mark.skipif(
        not mongodb_server.answers(),
        reason="no server of MongoDB's protocol at CELERY_RS_TEST_MONGODB: run `make test`",
    ),
]

# Celery gives a list of results back, and keeps no more of a group.
THEIR_DELETE = 'GroupResult.restore("gone-" + KEY).delete()'
RESTORER = """
from {package}.result import GroupResult

found = list(GroupResult.restore("outer-" + KEY))
say([[result.get(timeout=DEADLINE_S) for result in found[:2]], str(found[2]), GroupResult.restore("gone-" + KEY)])
"""


@pytest.fixture
def store() -> Iterator[dict[str, Any]]:
    """Settings of a database of the test's own."""
    database = f"celery_rs_{secrets.token_hex(6)}"
    yield {"result_backend": mongodb_server.URL, "mongodb_backend_settings": {"database": database}}
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongodb_server.URL)
    client.drop_database(database)
    client.close()


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("writes", [CeleryProject, OurProject])
def test_what_one_has_stored_the_other_reads(
    writes: type[Project],
    settings: dict[str, Any],
    store: dict[str, Any],
    broker: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads_what_is_written(writes, broker, store | settings, tmp_path, monkeypatch)


REGISTERED = """
import bson
from kombu.serialization import register

register("bson", bson.encode, bson.decode, "application/bson", "binary")
"""
BSON = {"result_serializer": "bson", "result_accept_content": ["bson"]}


@pytest.mark.parametrize("writes", [CeleryProject, OurProject])
def test_results_that_are_bson_are_read_on_the_other_side(
    writes: type[Project], store: dict[str, Any], broker: str, tmp_path: Path
) -> None:
    """Celery has to be told of the name `bson` first."""
    reads = OurProject if writes is CeleryProject else CeleryProject
    modules = {CeleryProject: REGISTERED + MODULE, OurProject: MODULE}
    with (
        writes(tmp_path / "writes", broker, store | BSON, modules[writes]) as worker,
        reads(tmp_path / "reads", broker, store | BSON, modules[reads]) as client,
    ):
        worker.worker("-c", "1")
        said = client.python(
            "value = proj.add.delay([1], [b'x'.hex()]).get(timeout=DEADLINE_S)\n"
            "say([value, repr(proj.fail.delay().get(timeout=DEADLINE_S, propagate=False))])"
        )

    assert said == [[1, "78"], "ValueError('boom', 1)"]


@pytest.mark.parametrize("saves", [CeleryProject, OurProject])
def test_a_group_that_one_has_saved_the_other_restores(
    saves: type[Project], store: dict[str, Any], broker: str, tmp_path: Path
) -> None:
    restores = OurProject if saves is CeleryProject else CeleryProject
    key = f"KEY = {tmp_path.name!r}\n"
    with (
        saves(tmp_path / "saves", broker, store, MODULE) as saver,
        restores(tmp_path / "restores", broker, store, MODULE) as restorer,
    ):
        saver.worker("-c", "1")
        saver.python(key + SAVER.replace("{package}", saver.package).replace(THEIR_DELETE, "gone.delete()"))
        said = restorer.python(key + RESTORER.replace("{package}", restorer.package))

    assert said == [[1, 2], f"inner-{tmp_path.name}", None]
