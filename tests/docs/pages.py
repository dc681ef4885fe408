"""The project's pages as the tests see them: blocks of code, links, and what they say exists.

The pages speak a small language. The first word after the fence says what a block is, `name=value` words what becomes
of it:

- `title=tasks.py`: the block is that file, and replaces it if it is there.
- `append=tasks.py`: the block is added at the end of that file.
- `console`: lines with `$ ` are typed, what follows each is what it prints. A worker is started in the background and
  waited for; `terminal=name` is where it runs, and a worker that runs there already is stopped first, by Ctrl-C. A
  block that is `^C` stops it and starts none.
- `pycon`: a Python session, checked as a doctest. It goes on until a file changes, which Python would not
  see.
- `text`, with `log=name`: lines that the worker in that terminal has logged.
- `tested=path::name`: that test runs the block, since it cannot be typed into an empty folder.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
README_ZH = ROOT / "README.zh.md"
GENERATED = DOCS / "reference"
BUILT = DOCS / "_build"
PAGES = [
    README,
    README_ZH,
    ROOT / "CHANGELOG.md",
    *sorted(page for page in DOCS.rglob("*.md") if not page.is_relative_to(BUILT)),
]
TYPED = [
    page
    for page in PAGES
    if page in (README, README_ZH) or {"tutorial", "guide"} & set(page.relative_to(ROOT).parts[:-1])
]
"""The pages that a reader types in."""

_BLOCK = re.compile(r"^```([^\n`{]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """One fenced block: its language, its `name=value` words, its text, and its line in the page."""

    language: str
    words: Mapping[str, str]
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    text = page.read_text()
    return [
        Block(language, dict(word.split("=", 1) for word in words if "=" in word), found[2], _line(text, found))
        for found in _BLOCK.finditer(text)
        for language, *words in [found[1].split() or [""]]
    ]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return _BLOCK.sub("", page.read_text())


def headings(page: Path) -> list[str]:
    """The headings, each with its `#` signs."""
    return re.findall(r"^#+ .*$", prose(page), re.MULTILINE)


def links(page: Path) -> list[str]:
    """Where the page's links lead, those to other sites left out."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target]


def named(page: Path) -> str:
    """The page's name in a test's name."""
    return str(page.relative_to(ROOT))


def twin(page: Path) -> Path:
    """The Chinese page of an English one."""
    return README_ZH if page == README else DOCS / "zh" / page.relative_to(DOCS)


def _line(text: str, found: "re.Match[str]") -> int:
    return text.count("\n", 0, found.start()) + 1
