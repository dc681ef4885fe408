"""The clerk: records reach a store that must not run in the worker's main process, whatever that store does."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from celery_rs.backends import ChordClaim, ResultWriter, open_backend
from celery_rs.errors import BackendError
from celery_rs.wire import ChordPart, TaskResult, encode_meta
from celery_rs.worker.pools import Clerk, Duties
from tests.chaos.processes import children
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

RECORDS = [TaskResult(id, "SUCCESS", 0, encode_meta(id, "SUCCESS", id, now=0.0)) for id in ("a", "b")]
PARTS = [ChordPart("group", f"task-{index}", index, "SUCCESS", b"1") for index in range(2)]
IDLE = Duties(run=lambda *_: pytest.fail("a clerk runs no tasks"), interruptible=lambda: False)


def sqlite(folder: Path) -> ResultWriter:
    return open_backend(f"sqlite:///{folder}/results.sqlite3", {}, expires=60)


class Odd:
    """A store that does something else first, the first time that any process asks it."""

    def __init__(self, folder: Path, first: Callable[[], object]) -> None:
        self._store = sqlite(folder)
        self._mark = folder / "asked"
        self._first = first

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        if not self._mark.exists():
            self._mark.touch()
            self._first()
        return self._store.store(records)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        return self._store.claim_chords(parts, claim_s)


def raises(error: Exception) -> None:
    raise error


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def hire() -> Iterator[Callable[..., Clerk]]:
    hired: list[Clerk] = []

    def hire(open_store: Callable[[], ResultWriter], duties: Duties = IDLE) -> Clerk:
        clerk = Clerk(open_store, "own://store", duties)
        clerk.start()
        hired.append(clerk)
        return clerk

    yield hire
    for clerk in hired:
        clerk.stop()


def test_records_reach_the_store(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    clerk = hire(partial(sqlite, tmp_path))

    assert list(clerk.store(RECORDS)) == [True, True]

    stored = open_backend(f"sqlite:///{tmp_path}/results.sqlite3", {}, expires=60)
    assert stored.fetch(["a", "b"]) == {record.task_id: record for record in RECORDS}
    assert list(clerk.store(RECORDS)) == [False, False], "the store's own answer"


def test_a_large_batch_passes(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    clerk = hire(partial(sqlite, tmp_path))
    large = [
        TaskResult(f"{n}", "SUCCESS", 0, encode_meta(f"{n}", "SUCCESS", "x" * 100_000, now=0.0)) for n in range(50)
    ]

    assert all(clerk.store(large))


def test_the_store_is_opened_in_a_process_of_its_own_once(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    def open_store() -> ResultWriter:
        with (tmp_path / "pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return sqlite(tmp_path)

    clerk = hire(open_store)
    clerk.store(RECORDS)
    clerk.store(RECORDS)

    (pid,) = (tmp_path / "pids").read_text().split()
    assert int(pid) != os.getpid()


def test_what_the_store_complains_of_is_told(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    clerk = hire(lambda: Odd(tmp_path, lambda: raises(BackendError("own://store is full"))))

    with pytest.raises(BackendError, match=r"^own://store is full$"):
        clerk.store(RECORDS)

    assert all(clerk.store(RECORDS)), "asked again, by the same process"


def test_any_other_error_is_the_stores_too(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    clerk = hire(lambda: Odd(tmp_path, lambda: raises(KeyError("host"))))

    with pytest.raises(BackendError, match=r"^own://store failed with KeyError: 'host'$"):
        clerk.store(RECORDS)


def test_a_store_that_cannot_be_opened_is_tried_again(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    def open_store() -> ResultWriter:
        if not (tmp_path / "there").exists():
            raise BackendError("own://store is down")
        return sqlite(tmp_path)

    clerk = hire(open_store)
    with pytest.raises(BackendError, match="down"):
        clerk.store(RECORDS)
    (tmp_path / "there").touch()

    assert all(clerk.store(RECORDS))


@pytest.mark.parametrize(
    ("end", "how"), [(kill_myself, r"signal 9 \(SIGKILL\)"), (partial(os._exit, 3), "exit code 3")]
)
def test_a_process_that_ends_is_replaced(
    hire: Callable[..., Clerk], tmp_path: Path, end: Callable[[], object], how: str
) -> None:
    clerk = hire(lambda: Odd(tmp_path, end))

    with pytest.raises(BackendError, match=rf"^own://store: the process that writes there ended \({how}\)$"):
        clerk.store(RECORDS)

    assert all(clerk.store(RECORDS))


def test_chords_are_claimed_renewed_and_closed_there(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    open_backend(f"sqlite:///{tmp_path}/results.sqlite3", {}, expires=60).open_chord("group", 2)
    clerk = hire(partial(sqlite, tmp_path))

    (claim,) = clerk.claim_chords(PARTS, 10.0)

    assert (claim.group, list(claim.parts)) == ("group", PARTS)
    assert claim.renew(10.0)
    claim.close(published=True)
    assert not clerk.claim_chords(PARTS, 10.0), "the chord is over"


def test_the_process_enters_and_leaves_like_those_of_the_pool(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    def note(name: str, number: int) -> None:
        (tmp_path / name).write_text(str(number))

    duties = IDLE._replace(enter=[partial(note, "entered")], leave=[partial(note, "left")])
    clerk = hire(partial(sqlite, tmp_path), duties)
    clerk.store(RECORDS)

    clerk.stop()

    assert (tmp_path / "entered").read_text() == "0"
    assert (tmp_path / "left").read_text() == "0"


def test_nothing_is_written_once_it_has_been_stopped(hire: Callable[..., Clerk], tmp_path: Path) -> None:
    clerk = hire(partial(sqlite, tmp_path))
    clerk.stop()

    with pytest.raises(BackendError, match=r"^own://store: the worker ends"):
        clerk.store(RECORDS)


def test_a_worker_whose_store_crashes_its_process_loses_no_result(project: Project) -> None:
    settings = {
        "override_backends": {"odd": "tests.worker.crashing_store.CrashingStore"},
        "result_backend": f"odd://{project.folder}",
    }
    stored = open_backend(f"sqlite:///{project.folder}/results.sqlite3", {}, expires=60)

    with project.worker("-c", "2", settings=settings) as worker:
        ids = [project.proj.add.delay(n, n).id for n in range(10)]
        assert {record.task_id for record in stored.watch(ids, DEADLINE_S)} == set(ids)

    assert "the process that writes there ended (exit code 7)" in project.log()
    assert len(project.lines("writers")) == 2, "one after the other"
    assert str(worker.pid) not in project.lines("writers")


def test_a_worker_that_can_have_no_other_writer_gives_everything_back_and_stops(project: Project) -> None:
    settings = {
        "override_backends": {"odd": "tests.worker.crashing_store.CrashingStore"},
        "result_backend": f"odd://{project.folder}",
    }
    stored = open_backend(f"sqlite:///{project.folder}/results.sqlite3", {}, expires=60)

    with project.worker("-c", "1", settings=settings) as worker:
        assert list(stored.watch([project.proj.add.delay(1, 1).id], DEADLINE_S))
        writer, family = int(project.lines("writers")[-1]), children()
        (nursery,) = (nursery for nursery in family[worker.pid] if writer in family[nursery])
        os.kill(nursery, signal.SIGKILL)
        eventually(lambda: writer not in children()[nursery])  # or it would write what comes next
        project.proj.add.delay(2, 2)

        assert worker.wait(DEADLINE_S) == 1
    assert "died: signal 9 (SIGKILL); giving everything back and stopping" in project.log()
