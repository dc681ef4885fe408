"""The reference pages are those that the code makes today."""

import pytest

from docs.generate import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_makes(name: str) -> None:
    committed = (REFERENCE / name).read_text()

    assert committed == PAGES[name](), f"docs/reference/{name} is out of date: run `make docs-reference`"


def test_every_reference_page_is_made() -> None:
    assert {page.name for page in REFERENCE.glob("*.md")} == set(PAGES)
