"""Results in SQL databases, beside real Celery: what either side has stored, the other reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import sql_servers
from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import SETTINGS, reads_what_is_written, restores_what_is_saved

EXTENDED = {"result_extended": True, "database_table_names": {"task": "mine", "group": "ours"}}
CHOSEN: dict[str, dict[str, Any]] = {
    "extended, tables of other names": EXTENDED,
    **{name: SETTINGS[name] for name in ("plain", "pickle", "yaml", "msgpack")},
}
ON_SERVERS = ("extended, tables of other names", "pickle")

pytestmark = pytest.mark.parametrize("broker", ["redis"], indirect=True)
BOTH_WAYS = pytest.mark.parametrize("writes", [CeleryProject, OurProject])
CASES = pytest.mark.parametrize(
    ("urls", "settings"),
    [
        *(pytest.param("sqlite", settings, id=f"sqlite-{name}") for name, settings in CHOSEN.items()),
        *(
            pytest.param(server, CHOSEN[name], id=f"{server}-{name}")
            for server in sql_servers.SERVERS
            for name in ON_SERVERS
        ),
    ],
    indirect=["urls"],
)


class Urls(NamedTuple):
    """One place, as each side opens it."""

    ours: str
    celerys: str


@pytest.fixture
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Urls]:
    server = request.param
    if server == "sqlite":
        url = f"db+sqlite:///{tmp_path}/results.db"
        yield Urls(url, url)
        return
    if not sql_servers.there(server):
        pytest.skip(f"no {server}: run `make test`")
    with sql_servers.fresh_database(server) as url:
        yield Urls(f"db+{url}", f"db+{sql_servers.by_driver(url, 'psycopg2') if server == 'postgresql' else url}")


@CASES
@BOTH_WAYS
def test_what_one_has_stored_the_other_reads(
    writes: type[Project],
    urls: Urls,
    settings: dict[str, Any],
    broker: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, celerys = {"result_backend": urls.ours, **settings}, {"result_backend": urls.celerys}
    reads_what_is_written(writes, broker, ours, tmp_path, monkeypatch, celerys)


@pytest.mark.parametrize(
    ("urls", "settings"),
    [("sqlite", SETTINGS["plain"]), ("sqlite", SETTINGS["msgpack"]), ("postgresql", EXTENDED), ("mariadb", EXTENDED)],
    indirect=["urls"],
)
@BOTH_WAYS
def test_a_group_that_one_has_saved_the_other_restores(
    writes: type[Project], urls: Urls, settings: dict[str, Any], broker: str, tmp_path: Path
) -> None:
    ours, celerys = {"result_backend": urls.ours, **settings}, {"result_backend": urls.celerys}
    restores_what_is_saved(writes, broker, ours, tmp_path, celerys)


@pytest.mark.parametrize("urls", ["sqlite"], indirect=True)
def test_a_group_that_celery_has_pickled_is_restored(urls: Urls, broker: str, tmp_path: Path) -> None:
    """Celery pickles the object, which forgets its parent."""
    settings = {"result_backend": urls.ours, **SETTINGS["pickle"]}
    with (
        CeleryProject(tmp_path / "theirs", broker, settings) as theirs,
        OurProject(tmp_path / "ours", broker, settings) as ours,
    ):
        theirs.python(
            "app.GroupResult('g', [app.AsyncResult('a'), app.GroupResult('i', [app.AsyncResult('b')])]).save()"
        )
        said = ours.python("found = app.GroupResult.restore('g'); say([found.id, found[0].id, found[1][0].id])")

    assert said == ["g", "a", "b"]
