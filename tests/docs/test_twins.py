"""A Chinese page has the structure of its English twin, and its blocks but for the comments in them."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, README, README_ZH, TYPED, Block, blocks, headings, named, twin

_CHINESE = [page for page in TYPED if page == README_ZH or page.is_relative_to(DOCS / "zh")]
_ENGLISH = [page for page in TYPED if page not in _CHINESE]
_TRANSLATED = [page for page in _ENGLISH if twin(page).exists()]


def bare(block: Block) -> tuple[str, dict[str, str], str]:
    """A block without what may be in another language: its comments."""
    return block.language, dict(block.words), re.sub(r"(^|\s)# .*$", r"\1#", block.text, flags=re.MULTILINE)


def test_the_tutorial_is_there_in_both_languages() -> None:
    both = [README, *(page for page in _ENGLISH if page.parent == DOCS / "tutorial")]

    assert [named(page) for page in both if not twin(page).exists()] == []


def test_every_chinese_page_has_an_english_one() -> None:
    twins = [twin(page) for page in _ENGLISH]

    assert [named(page) for page in _CHINESE if page not in twins] == []


@pytest.mark.parametrize("page", _TRANSLATED, ids=named)
def test_the_blocks_are_the_same_in_both_languages(page: Path) -> None:
    assert [bare(block) for block in blocks(twin(page))] == [bare(block) for block in blocks(page)]


@pytest.mark.parametrize("page", _TRANSLATED, ids=named)
def test_the_sections_are_the_same_in_both_languages(page: Path) -> None:
    def depths(page: Path) -> list[int]:
        return [len(heading.split()[0]) for heading in headings(page)]

    assert depths(twin(page)) == depths(page)
