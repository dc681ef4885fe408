"""Results in a memcached, or in files, beside real Celery: each side reads what the other has stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import SETTINGS, reads_what_is_written, restores_what_is_saved
from tests.memcached_server import own_memcached

pytestmark = pytest.mark.parametrize("broker", ["redis"], indirect=True)
BOTH_WAYS = pytest.mark.parametrize("writes", [CeleryProject, OurProject])


CHOSEN = {name: SETTINGS[name] for name in ("plain", "extended, compressed, prefixed", "pickle")}


@pytest.fixture(params=["file", "memcached"])
def result_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        directory = tmp_path / "results"
        directory.mkdir()
        yield f"file://{directory}"
        return
    with own_memcached() as server:
        yield server.url


@BOTH_WAYS
@pytest.mark.parametrize("settings", CHOSEN.values(), ids=CHOSEN)
def test_what_one_has_stored_the_other_reads(
    writes: type[Project],
    settings: dict[str, Any],
    result_store: str,
    broker: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "memcached" in result_store:
        settings = {
            name: value for name, value in settings.items() if name != "result_compression"
        }  # Celery ignores it
    reads_what_is_written(writes, broker, {"result_backend": result_store, **settings}, tmp_path, monkeypatch)


@BOTH_WAYS
def test_a_group_that_one_has_saved_the_other_restores(
    writes: type[Project], result_store: str, broker: str, tmp_path: Path
) -> None:
    restores_what_is_saved(writes, broker, {"result_backend": result_store}, tmp_path)


@BOTH_WAYS
def test_both_look_for_a_key_on_the_same_of_several_servers(
    writes: type[Project], broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_memcached() as one, own_memcached() as two:
        settings = {"result_backend": f"cache+memcached://{one.server};{two.server}/"}
        reads_what_is_written(writes, broker, settings, tmp_path, monkeypatch)
