"""The pool page against its oracle, and between two processes that stop at any moment."""

import mmap
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from celery_rs._core import PoolPage
from tests.deadlines import DEADLINE_S
from tests.oracles import pool_page as oracle

LARGEST = (oracle.RING_WORDS - 1) * 8


@pytest.fixture
def page() -> PoolPage:
    return PoolPage(mmap.mmap(-1, PoolPage.SIZE))


def test_a_job_starts_once_and_only_up_to_the_limit(page: PoolPage) -> None:
    page.allow(2)

    assert [page.start(job, 1.5) for job in (1, 1, 2, 3)] == [True, False, True, False]
    assert page.running() == (2, 1.5)
    assert page.started() == 2


def test_a_recall_voids_what_has_not_started(page: PoolPage) -> None:
    page.allow(9)
    page.start(1, 0.0)

    assert page.recall(5) == 1

    assert not page.start(5, 0.0)
    assert page.start(6, 0.0)


def test_a_frozen_page_starts_nothing_until_its_reset(page: PoolPage) -> None:
    page.allow(9)
    page.start(3, 0.0)

    assert page.freeze() == 3

    page.allow(100)
    assert not page.start(4, 0.0)
    page.reset()
    page.allow(1)
    assert page.start(1, 0.0)


def test_a_signal_for_a_job_that_is_over_means_nobody(page: PoolPage) -> None:
    page.allow(2)
    page.start(1, 0.0)
    assert page.target(1)
    assert page.targeted()

    page.finish(1)
    page.start(2, 0.0)

    assert not page.targeted()
    assert not page.target(1)


def test_a_record_is_taken_whole_or_not_at_all(page: PoolPage) -> None:
    assert not page.push(bytes(LARGEST + 1))
    assert page.push(bytes(LARGEST))
    assert not page.push(b"")
    assert [len(outcome) for outcome in page.drain()] == [LARGEST]
    assert page.push(b"")
    assert page.drain() == [b""]


def test_pages_lie_side_by_side_in_one_mapping() -> None:
    memory = mmap.mmap(-1, 2 * PoolPage.SIZE)
    first, second = PoolPage(memory), PoolPage(memory, PoolPage.SIZE)

    assert first.push(b"first")

    assert (first.drain(), second.drain()) == ([b"first"], [])


@pytest.mark.parametrize(
    ("memory", "offset", "error"),
    [
        (bytes(PoolPage.SIZE), 0, "memory must be writable and contiguous"),
        (
            bytearray(PoolPage.SIZE - 1),
            0,
            f"memory must hold {PoolPage.SIZE} bytes from offset 0 on, got {PoolPage.SIZE - 1} in all",
        ),
        (bytearray(PoolPage.SIZE), 8, f"memory must hold {PoolPage.SIZE} bytes from offset 8 on"),
        (bytearray(PoolPage.SIZE), sys.maxsize, "memory must hold"),
        (bytearray(PoolPage.SIZE + 8), 4, "offset must be a multiple of 8, got 4"),
        (memoryview(bytearray(PoolPage.SIZE * 2))[::2], 0, "memory must be writable and contiguous"),
    ],
)
def test_memory_that_cannot_hold_a_page_is_refused(
    memory: bytes | bytearray | memoryview, offset: int, error: str
) -> None:
    with pytest.raises((ValueError, BufferError), match=error):
        PoolPage(memory, offset)


def test_the_memory_stays_mapped_for_as_long_as_the_page_is_used(page: PoolPage) -> None:
    memory = mmap.mmap(-1, PoolPage.SIZE)
    page = PoolPage(memory)

    with pytest.raises(BufferError):
        memory.close()

    del page
    memory.close()


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_any_scribble_is_survived(byte: int) -> None:
    memory = mmap.mmap(-1, PoolPage.SIZE)
    page = PoolPage(memory)
    memory[:] = bytes([byte]) * PoolPage.SIZE

    assert len(page.drain()) <= oracle.RING_WORDS
    for call in (page.running, page.started, page.targeted, page.drain):
        call()
    for numbered in (page.finish, page.target, page.recall, page.allow):
        numbered(3)
    page.start(4, 0.0)
    page.push(b"x")
    page.freeze()

    page.reset()
    assert (page.running(), page.started(), page.drain()) == (None, 0, [])


class PageMachine(RuleBasedStateMachine):
    """One process plays both sides; numbers are near each other so that they meet."""

    def __init__(self) -> None:
        super().__init__()
        self.page = PoolPage(mmap.mmap(-1, PoolPage.SIZE))
        self.oracle = oracle.PoolPage()

    jobs = st.integers(0, 12)

    @rule(limit=jobs)
    def allow(self, limit: int) -> None:
        self.page.allow(limit)
        self.oracle.allow(limit)

    # A child runs one job at a time.
    @precondition(lambda self: self.oracle.running() is None)
    @rule(job=jobs, now=st.floats(allow_nan=False))
    def start(self, job: int, now: float) -> None:
        assert self.page.start(job, now) == self.oracle.start(job, now)

    @precondition(lambda self: self.oracle.running() is not None)
    @rule()
    def finish(self) -> None:
        self.page.finish(self.oracle.started())
        self.oracle.finish(self.oracle.started())

    @rule(sent=jobs)
    def recall(self, sent: int) -> None:
        assert self.page.recall(sent) == self.oracle.recall(sent)

    @rule()
    def freeze(self) -> None:
        assert self.page.freeze() == self.oracle.freeze()

    @rule(job=jobs)
    def target(self, job: int) -> None:
        assert self.page.target(job) == self.oracle.target(job)

    @rule()
    def reset(self) -> None:
        self.page.reset()
        self.oracle = oracle.PoolPage()

    @rule(
        outcome=st.binary(max_size=40) | st.sampled_from([LARGEST // 3, LARGEST // 2, LARGEST, LARGEST + 1]).map(bytes)
    )
    def push(self, outcome: bytes) -> None:
        assert self.page.push(outcome) == self.oracle.push(outcome)

    @rule()
    def drain(self) -> None:
        assert self.page.drain() == self.oracle.drain()

    @invariant()
    def both_see_the_same(self) -> None:
        assert self.page.started() == self.oracle.started()
        assert self.page.running() == self.oracle.running()
        assert self.page.targeted() == self.oracle.targeted()


PageMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
test_a_page_does_what_its_oracle_does = PageMachine.TestCase


CHILD = """
import mmap, sys
from celery_rs._core import PoolPage

with open(sys.argv[1], "r+b") as file:
    page = PoolPage(mmap.mmap(file.fileno(), PoolPage.SIZE))
"""

PUSHES = """
number = 0
while True:
    record = b"%d:" % number + bytes([number % 251]) * (number * 37 % 3000)
    number += page.push(record)
"""

STARTS = """
job = 1
while True:
    if page.start(job, 0.0):
        while not page.push(b"%d" % job):
            pass
        page.finish(job)
    job += 1
"""


@contextmanager
def child_of(tmp_path: Path, script: str) -> Iterator[tuple[PoolPage, Popen[bytes]]]:
    """A page, and a child at work on the other side of it."""
    path = tmp_path / "page"
    path.write_bytes(bytes(PoolPage.SIZE))
    with path.open("r+b") as file:
        page = PoolPage(mmap.mmap(file.fileno(), PoolPage.SIZE))
    page.allow(2**40)
    with Popen([sys.executable, "-c", CHILD + script, path]) as child:
        try:
            yield page, child
        finally:
            child.kill()


def wait_for_the_first(page: PoolPage) -> list[bytes]:
    deadline = time.monotonic() + DEADLINE_S
    while not (outcomes := page.drain()):
        assert time.monotonic() < deadline, "the child never pushed an outcome"
    return outcomes


@pytest.mark.parametrize("seed", range(8))
def test_a_child_killed_at_any_moment_leaves_whole_records_only(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with child_of(tmp_path, PUSHES) as (page, child):
        outcomes = wait_for_the_first(page)
        for _ in range(chance.randrange(300)):
            outcomes += page.drain()
        child.kill()
        child.wait()
        outcomes += page.drain()

    for number, outcome in enumerate(outcomes):
        assert outcome == b"%d:" % number + bytes([number % 251]) * (number * 37 % 3000)


def test_a_job_is_started_or_recalled_and_never_both(tmp_path: Path) -> None:
    chance = random.Random(1)
    void: set[int] = set()
    with child_of(tmp_path, STARTS) as (page, child):
        outcomes = wait_for_the_first(page)
        deadline = time.monotonic() + DEADLINE_S
        while page.started() < 100_000:
            assert time.monotonic() < deadline, "the child is stuck"
            sent = page.started() + chance.randrange(40)
            started = page.recall(sent)
            void.update(range(started + 1, sent + 1))
            outcomes += page.drain()
        last = page.freeze()
        child.kill()
        child.wait()
        outcomes += page.drain()

    # The last one may have started and died before it said so.
    ran = {int(outcome) for outcome in outcomes} | {last}
    assert len(outcomes) in (len(ran), len(ran) - 1)
    assert min(void) < last
    assert not ran & void
    assert ran == set(range(1, last + 1)) - void
