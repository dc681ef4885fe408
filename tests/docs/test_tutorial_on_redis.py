"""The tutorial again, with a Redis for broker and results: one setting is all that changes.

In English: the Chinese pages have the same blocks (test_twins.py), and are typed in themselves (test_typed.py).
"""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, TYPED, Block, blocks, named
from tests.docs.reader import reading
from tests.redis_server import OwnRedis, own_redis

__all__ = ["own_redis"]  # a fixture

TUTORIAL = [page for page in TYPED if page.parent == DOCS / "tutorial"]
_BROKER = re.compile(r"sqlite:///(?:/home/you/project/|\.\.\.)?(?:queue|celery-rs)\.sqlite3")
"""The embedded broker of the pages, as it is written and as it is shown."""


@pytest.mark.parametrize("page", TUTORIAL, ids=named)
def test_a_page_of_the_tutorial_goes_on_redis(page: Path, tmp_path: Path, own_redis: OwnRedis) -> None:
    home = tmp_path / "home"
    home.mkdir()
    read = [elsewhere(block, own_redis.url) for block in blocks(page)]

    with reading(home) as reader:
        if not any("title" in block.words and "redis://" in block.text for block in read):
            # A page that names no broker: its reader names one without a change of the page's code.
            reader.environment |= {"CELERY_BROKER_URL": own_redis.url, "CELERY_RESULT_BACKEND": own_redis.url}
        for block in read:
            try:
                reader.take(block)
            except AssertionError as error:
                raise AssertionError(f"{named(page)}, line {block.line}: {error}") from None


def elsewhere(block: Block, url: str) -> Block:
    """The block as it is written, and as it prints, where broker and store are a Redis."""
    return block._replace(text=_BROKER.sub(url, block.text).replace("<SqliteBackend", "<RedisBackend"))
