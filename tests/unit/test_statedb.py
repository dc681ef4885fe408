"""The state file: what it keeps, for whom, and what is said when it cannot."""

import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_rs.errors import StateFileError
from celery_rs.worker import statedb
from celery_rs.worker.inbox import Inbox
from celery_rs.worker.revokes import Revokes
from celery_rs.worker.statedb import StateDb
from tests.deadlines import eventually


@pytest.fixture
def box() -> Iterator[Inbox]:
    box = Inbox()
    yield box
    box.close()


def ids_in(path: Path) -> list[str]:
    revokes = Revokes()
    StateDb(path, revokes).load()
    return revokes.ids(time.time())


def test_what_was_revoked_is_there_for_the_next_worker(tmp_path: Path, box: Inbox) -> None:
    path = tmp_path / "state"
    revokes = Revokes()
    state = StateDb(path, revokes)
    state.load()
    state.start(box)
    now = time.time()
    revokes.add(["a", "b"], now)
    revokes.add(["gone"], now, until=now - 1)

    state.stop()

    assert ids_in(path) == ["a", "b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_what_is_over_is_not_carried_on(tmp_path: Path) -> None:
    path, revokes, now = tmp_path / "state", Revokes(), time.time()
    path.write_text(json.dumps({"celery-rs state": 1, "revoked": {"over": now - 1, "valid": now + 60}}))

    StateDb(path, revokes).load()

    assert revokes.snapshot().keys() == {"valid"}


def test_a_change_is_saved_while_the_worker_runs(tmp_path: Path, box: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statedb, "SAVE_EVERY_S", 0.01)
    revokes = Revokes()
    state = StateDb(tmp_path / "state", revokes)
    state.load()
    state.start(box)

    revokes.add(["a"], time.time())

    eventually(lambda: ids_in(tmp_path / "state") == ["a"])
    state.stop()


@pytest.mark.parametrize(
    "text", ["", "\x00\x01", "[]", "{}", '{"celery-rs state": 2, "revoked": {}}', "[" * 100_000], ids=repr
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)

    with pytest.raises(StateFileError, match=r"is not one of celery-rs .* remove it, or name another"):
        StateDb(path, Revokes()).load()

    assert path.read_text() == text


@pytest.mark.parametrize("until", [[], 10**400], ids=["a list", "too large"])
def test_times_that_are_no_numbers_are_refused(tmp_path: Path, until: object) -> None:
    path = tmp_path / "state"
    path.write_text(json.dumps({"celery-rs state": 1, "revoked": {"a": until}}))

    with pytest.raises(StateFileError):
        StateDb(path, Revokes()).load()


@pytest.mark.parametrize("name", ["missing/state", "."])
def test_a_file_that_cannot_be_kept_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateFileError, match=r"the state file .* cannot be (read|written)"):
        StateDb(tmp_path / name, Revokes()).load()


def test_a_file_that_can_be_written_no_more_is_said_and_the_worker_goes_on(
    tmp_path: Path, box: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    revokes = Revokes()
    state = StateDb(folder / "state", revokes)
    state.load()
    state.start(box)
    (folder / "state").unlink()
    folder.rmdir()
    revokes.add(["a"], time.time())

    state.stop()

    assert "cannot be written (No such file or directory)" in caplog.text
