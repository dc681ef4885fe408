"""The reference pages are those that the code makes today, in a process where nobody has added commands."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from docs.generate import PAGES, REFERENCE
from tests.deadlines import DEADLINE_S

_MAKE_ALL = "import json, docs.generate as d; print(json.dumps({name: make() for name, make in d.PAGES.items()}))"


@cache
def made() -> dict[str, str]:
    command = [sys.executable, "-c", _MAKE_ALL]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    pages: dict[str, str] = json.loads(found.stdout)
    return pages


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_makes(name: str) -> None:
    committed = (REFERENCE / name).read_text(encoding="utf-8")

    assert committed == made()[name], f"docs/reference/{name} is out of date: run `make docs-reference`"


def test_every_reference_page_is_made() -> None:
    assert {page.name for page in REFERENCE.glob("*.md")} == set(PAGES)
