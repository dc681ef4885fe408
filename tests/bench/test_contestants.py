"""Who takes part: chosen by name or by set, and named with what installs it where it is missing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.contestants import CONTESTANTS, DEFAULT, SETS, Missing, chosen
from bench.contestants.environment import Environment


def test_a_contestant_whose_environment_is_not_there_is_missing(tmp_path: Path):
    python = tmp_path / ".venv-peers" / "bin" / "python"
    absent = replace(CONTESTANTS["cauli"], python=python)

    with pytest.raises(Missing, match=r"cauli, .* is not in \.venv-peers: run `make \.make/peers`"):
        absent.versions()


def test_a_contestant_whose_package_is_not_there_is_missing():
    absent = replace(CONTESTANTS["cauli"], python=Path(sys.executable))

    with pytest.raises(Missing, match=r"run `make \.make/peers`"):
        absent.versions()


def test_an_environment_that_cannot_be_made_says_which_command_failed(monkeypatch: pytest.MonkeyPatch):
    failed = subprocess.CompletedProcess([], 1, "", "no such package\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)

    with pytest.raises(Missing, match=r"run `make \.make/none`, which just said: no such package"):
        Environment("none").prepare()


def test_a_set_stands_for_its_members_and_nobody_takes_part_twice():
    names = [each.name for each in chosen(["cauli", "redis", "celery-rs-redis", "taskito"])]

    assert names == ["cauli", *(name for name in SETS["redis"] if name != "cauli"), "taskito"]


def test_every_name_in_a_set_is_a_contestant_and_no_set_is_called_like_one():
    named = {name for members in (DEFAULT, *SETS.values()) for name in members}

    assert named <= CONTESTANTS.keys()
    assert not SETS.keys() & CONTESTANTS.keys()


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_contestant_says_what_it_promises(name: str):
    contestant = CONTESTANTS[name]

    assert contestant.durability
    assert contestant.acknowledgement.startswith(("early", "late"))


def test_whoever_is_one_process_only_is_started_as_often_as_there_are_processes():
    single = replace(CONTESTANTS["arq"], python=Path("/environment/bin/python"), worker=("arq", "an app"), copies=2)

    assert single.worker_command() == [
        "sh",
        "-c",
        "/environment/bin/arq 'an app' & exec /environment/bin/arq 'an app'",
    ]
