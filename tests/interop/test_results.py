"""Results in one Redis, beside real Celery: what either side's worker has stored, the other side's client reads."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.celery_side import CeleryProject, OurProject, Project
from tests.interop.stored import SETTINGS, reads_what_is_written, restores_what_is_saved


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("writes", [CeleryProject, OurProject])
def test_what_one_has_stored_the_other_reads(
    writes: type[Project], settings: dict[str, Any], broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_what_is_written(writes, broker, {"result_backend": broker, **settings}, tmp_path, monkeypatch)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("saves", [CeleryProject, OurProject])
def test_a_group_that_one_has_saved_the_other_restores(
    saves: type[Project], settings: dict[str, Any], broker: str, tmp_path: Path
) -> None:
    restores_what_is_saved(saves, broker, {"result_backend": broker, **settings}, tmp_path)


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
@pytest.mark.parametrize("writes", [CeleryProject, OurProject])
def test_the_same_where_calls_go_over_a_rabbitmq(
    writes: type[Project], broker: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_what_is_written(writes, broker, {"result_backend": store}, tmp_path, monkeypatch)
