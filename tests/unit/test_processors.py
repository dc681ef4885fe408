"""How many processors a process may use, by the files that Linux keeps about its control group."""

import os
from pathlib import Path

import pytest

from celery_rs.worker import processors


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def group(folder: Path, own: str, **files: str) -> tuple[Path, Path]:
    """A control group file system with these files (`/` is written `__`), and this process's place in it."""
    for name, text in files.items():
        file = folder / "cgroup" / name.replace("__", "/").replace("_max", ".max").replace("cpu_cfs", "cpu.cfs")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "own").write_text(own)
    return folder / "cgroup", folder / "own"


def test_without_a_quota_it_is_what_the_process_is_bound_to(many: None, tmp_path: Path) -> None:
    assert processors.usable_processors(*group(tmp_path, "0::/\n", cpu_max="max 100000\n")) == 8


def test_a_part_of_a_processor_counts_as_one(many: None, tmp_path: Path) -> None:
    assert processors.usable_processors(*group(tmp_path, "0::/\n", cpu_max="150000 100000\n")) == 2


def test_the_tightest_quota_above_holds(many: None, tmp_path: Path) -> None:
    files = {"a__cpu_max": "200000 100000", "a__b__cpu_max": "600000 100000"}

    assert processors.usable_processors(*group(tmp_path, "0::/a/b\n", **files)) == 2


def test_a_machine_that_tells_nothing_has_what_the_process_is_bound_to(many: None, tmp_path: Path) -> None:
    assert processors.usable_processors(tmp_path / "none", tmp_path / "neither") == 8
