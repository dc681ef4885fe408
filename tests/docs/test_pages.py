"""What the pages name must exist: files, tests, make targets; and the floor plan is the whole house."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT, blocks, links, named, prose

_TEST = re.compile(r"`(\w[\w/]*\.(?:py|rs))::(\w+)`")
_PATH = re.compile(r"`((?:python|rust|tests|bench|demo|docs|scripts)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target.partition("#")[0]).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    missing = [path for path in _PATH.findall(prose(page)) if not (ROOT / path).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_tests_that_are_named_exist(page: Path) -> None:
    missing = [f"{path}::{name}" for path, name in _TEST.findall(prose(page)) if not _defines(ROOT / path, name)]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_blocks_that_a_test_of_their_own_runs_name_it(page: Path) -> None:
    tests = [block.words["tested"].partition("::") for block in blocks(page) if "tested" in block.words]

    assert [f"{path}::{name}" for path, _, name in tests if not _defines(ROOT / path, name)] == []


def test_make_targets_that_are_named_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README.read_text(), re.MULTILINE)) <= set(targets)


def test_the_floor_plan_is_the_house() -> None:
    (plan,) = (
        block.text
        for block in blocks(ROOT / "docs/internals/architecture.md")
        if block.language == "" and "python/celery_rs/" in block.text
    )

    drawn = _drawn(plan)

    rooms = {f"{room}/" for room in ("rust/core/src", "rust/bindings/src", "python/celery_rs")}
    files = {path for room in rooms for path in _sources(room)}
    assert sorted(drawn) == sorted(files)


def _sources(room: str) -> list[str]:
    """The files of a room but for the doors, of which only the root's is drawn."""
    found = [path for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".pyi", ".rs")]
    doors = [path for path in found if path.name == "__init__.py" and path.parent != ROOT / "python/celery_rs"]
    return [str(path.relative_to(ROOT)) for path in found if path not in doors]


def _drawn(plan: str) -> list[str]:
    """The files in a plan: two spaces of indent for each folder, file names first in their line."""
    files = []
    folders: list[str] = []
    for line in filter(None, plan.splitlines()):
        words = line.split()
        depth = (len(line) - len(line.lstrip())) // 2
        if words[0].endswith("/"):
            folders[depth:] = [words[0]]
            continue
        for word in words:
            if not word.endswith((".py", ".pyi", ".rs")):
                break
            files.append("".join(folders[:depth]) + word)
    return files


def _defines(file: Path, name: str) -> bool:
    return file.exists() and re.search(rf"^\s*(?:def|fn) {name}\(", file.read_text(), re.MULTILINE) is not None
