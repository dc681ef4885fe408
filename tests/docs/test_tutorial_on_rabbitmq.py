"""The tutorial once more, with a RabbitMQ as broker and results over it or in a Redis."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_rs.config import mask_url
from tests import rabbitmq_vhosts
from tests.docs.pages import Block, blocks, named
from tests.docs.reader import reading
from tests.docs.test_tutorial_on_redis import TUTORIAL
from tests.redis_server import OwnRedis, own_redis

__all__ = ["own_redis"]  # a fixture

_FILE = r"sqlite:///(?:/home/you/project/|\.\.\.)?(?:queue|celery-rs)\.sqlite3"
_STORE = re.compile(rf'(?<=backend=")({_FILE})|(?<=result_backend = ")({_FILE})')
_BROKER = re.compile(_FILE)
"""The embedded broker of the pages, as it is written and as it is shown."""


@pytest.fixture
def broker() -> Iterator[str]:
    if not rabbitmq_vhosts.available():
        pytest.skip("no RabbitMQ listens that obeys us: run `make test`")
    host = rabbitmq_vhosts.fresh()
    yield rabbitmq_vhosts.url_of(host)
    rabbitmq_vhosts.done_with(host)


@pytest.fixture(params=["rpc", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "rpc":
        return "rpc://"
    own: OwnRedis = request.getfixturevalue("own_redis")
    return own.url


@pytest.mark.parametrize("page", TUTORIAL, ids=named)
def test_a_page_of_the_tutorial_goes_on_rabbitmq(page: Path, tmp_path: Path, broker: str, store: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    read = [elsewhere(block, broker, store) for block in blocks(page) if _can_be_typed(block, store)]

    with reading(home) as reader:
        if not any("title" in block.words and "amqp://" in block.text for block in read):
            # A page that names no broker: its reader names one without a change of the page's code.
            reader.environment |= {"CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": store}
        for block in read:
            try:
                reader.take(block)
            except AssertionError as error:
                raise AssertionError(f"{named(page)}, line {block.line}: {error}") from None


def elsewhere(block: Block, broker: str, store: str) -> Block:
    """The block as it is written, and as it prints, on that broker and with that store."""
    lines = block.text.splitlines(keepends=True)
    if block.language in ("console", "text", "pycon"):
        kind = "RpcBackend: rpc://" if store == "rpc://" else f"RedisBackend: {store}"
        lines = [_shown(line, broker, store, kind) for line in lines]
    return block._replace(text=_BROKER.sub(broker, _STORE.sub(store, "".join(lines))))


def _shown(line: str, broker: str, store: str, kind: str) -> str:
    if line.startswith(("$ ", ">>> ", "> ")) or 'broker_url = "' in line:
        return line  # typed, or quoted from a file that was
    if "results:" in line or "result_backend:" in line:
        return _BROKER.sub(store, line)
    return _BROKER.sub(mask_url(broker), re.sub(f"<SqliteBackend: {_FILE}>", f"<{kind}>", line))


def _can_be_typed(block: Block, store: str) -> bool:
    """But for what such a broker, or results that only the caller gets, cannot do: the guides say so."""
    if "celery-rs -A tasks result nonsense" in block.text:
        return False  # no RabbitMQ tells whether it has a message
    return store != "rpc://" or "celery-rs -A tasks result" not in block.text
