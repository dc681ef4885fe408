"""Chords counted by many at once, in stores whose every chord is one value: each part counts, one claim is given."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from celery_rs.backends.cache.memcached import open_values
from celery_rs.backends.cache.memory import MemoryValues
from celery_rs.backends.chord_book import ChordBook
from celery_rs.backends.file import over_directory
from celery_rs.backends.key_value import Kept, Keys, KeyValueBackend, Lasting
from celery_rs.errors import BackendError
from celery_rs.wire import ChordPart, ResultCodec
from tests.memcached_server import own_memcached

PARTS = 100
WORKERS = 4
Open = Callable[[], KeyValueBackend]


@pytest.fixture(params=["memory", "file", "memcached"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    lasting = Lasting(60.0, None)
    if request.param == "memory":
        yield lambda: KeyValueBackend(MemoryValues(str(tmp_path)), Keys(), lasting, ResultCodec())
    elif request.param == "file":
        yield lambda: over_directory(str(tmp_path), Keys(), lasting, ResultCodec())
    else:
        with own_memcached() as server:
            yield lambda: KeyValueBackend(open_values([server.server], {}), Keys(), lasting, ResultCodec())


def test_parts_that_end_at_the_same_moment_are_all_counted_and_claimed_once(opened: Open) -> None:
    backends = [opened() for _ in range(WORKERS)]
    backends[0].open_chord("group", PARTS)
    start = threading.Barrier(WORKERS)

    def count(worker: int) -> list[int]:
        start.wait()
        mine = [ChordPart("group", f"task-{n}", n, "SUCCESS", b"%d" % n) for n in range(worker, PARTS, WORKERS)]
        return [len(claim.parts) for part in mine for claim in backends[worker].claim_chords([part, part], 60.0)]

    with ThreadPoolExecutor(WORKERS) as threads:
        claimed = [size for sizes in threads.map(count, range(WORKERS)) for size in sizes]

    assert claimed == [PARTS]
    for backend in backends:
        backend.close()


@pytest.mark.parametrize("result", [b'{"x": "\xc3\xa9"}', b"\x80\x05N.", b"", b"\x00celery-compressed\x00"])
def test_a_result_of_any_bytes_comes_back_as_it_was(result: bytes, tmp_path: Path) -> None:
    backend = over_directory(str(tmp_path), Keys(), Lasting(60.0, None), ResultCodec())
    part = ChordPart("group", "a", None, "FAILURE", result)
    backend.open_chord("group", 1)

    (claim,) = backend.claim_chords([part], 60.0)

    assert list(claim.parts) == [part]


@pytest.mark.parametrize("written", [b"no page", b"[]", b'[1, [["a"]], "", 0.0, false]', b'{"result": 1}'])
def test_a_page_that_is_none_is_told_in_one_line(written: bytes, tmp_path: Path) -> None:
    values = MemoryValues(str(tmp_path))
    values.change({Keys().chord("group"): lambda _: Kept(written, None)})
    backend = KeyValueBackend(values, Keys(), Lasting(60.0, None), ResultCodec())

    with pytest.raises(
        BackendError, match=r"^expected what celery-rs has counted of the chord 'group', got b"
    ) as caught:
        backend.open_chord("group", 1)

    assert "\n" not in str(caught.value)


def test_what_changes_nothing_is_not_written() -> None:
    pages: dict[str, bytes] = {}
    writes = 0

    def change(group: str, step: Callable[[bytes | None], bytes | None]) -> None:
        nonlocal writes
        new = step(pages.get(group))
        if new is not None:
            pages[group] = new
            writes += 1

    book = ChordBook(change)
    part = ChordPart("group", "a", 0, "SUCCESS", b"1")
    book.open_chord("group", 2)
    book.claim_chords([part], 60.0)
    book.claim_chords([part], 60.0)

    assert writes == 2
