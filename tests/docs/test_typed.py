"""The pages are typed in as they stand, each in an empty home directory, and show what they say they show."""

from pathlib import Path

import pytest

from tests.docs.pages import TYPED, blocks, named
from tests.docs.reader import reading


@pytest.mark.parametrize("page", TYPED, ids=named)
def test_a_page_goes_as_it_is_printed(page: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    with reading(home) as reader:
        for block in blocks(page):
            try:
                reader.take(block)
            except AssertionError as error:
                raise AssertionError(f"{named(page)}, line {block.line}: {error}") from None
