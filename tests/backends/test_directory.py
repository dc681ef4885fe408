"""A directory of results: private files, one writer at a time, and what is said of one that cannot be used."""

import fcntl
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celery_rs.backends import open_backend
from celery_rs.backends.file import LOCK, Directory, over_directory
from celery_rs.backends.key_value import Kept, Keys, KeyValueBackend, Lasting
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.wire import ResultCodec, TaskResult, encode_meta
from tests.deadlines import DEADLINE_S

SECRET = 0o600


def record(task_id: str, state: str = "SUCCESS", attempt: int = 0) -> TaskResult:
    return TaskResult(task_id, state, attempt, encode_meta(task_id, state, None, now=0.0))


def opened(path: Path) -> KeyValueBackend:
    return over_directory(str(path), Keys(), Lasting(60.0, None), ResultCodec())


def test_a_record_is_a_file_for_its_user_only(tmp_path: Path) -> None:
    opened(tmp_path).store([record("a")])

    file = tmp_path / "celery-task-meta-a"
    assert stat.S_IMODE(file.stat().st_mode) == SECRET
    assert file.read_bytes() == record("a").meta
    assert {one.name for one in tmp_path.iterdir()} == {file.name, LOCK}


def test_a_file_of_celery_that_is_still_empty_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "celery-task-meta-a").touch()
    backend = opened(tmp_path)

    assert backend.fetch(["a"]) == {}
    assert backend.store([record("a", "STARTED")]) == [True]


def test_an_id_that_no_file_can_have_is_an_id_all_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "results"
    directory.mkdir()
    (directory / "celery-task-meta-a").mkdir()
    records = [record(task_id) for task_id in ("a/../../escaped", "x" * 300, "nul\0", "é", "..")]

    opened(directory).store(records)

    assert opened(directory).fetch([one.task_id for one in records]) == {one.task_id: one for one in records}
    assert [one.name for one in tmp_path.iterdir()] == ["results"]


def test_a_missing_directory_is_told_in_one_line(tmp_path: Path) -> None:
    backend = opened(tmp_path / "missing")

    for ask in (lambda: backend.store([record("a")]), lambda: backend.fetch(["a"]), backend.cleanup):
        with pytest.raises(BackendError, match=r"^result store file:///.*/missing: No such file or directory; make"):
            ask()


def test_a_directory_that_appears_is_used(tmp_path: Path) -> None:
    backend = opened(tmp_path / "late")
    with pytest.raises(BackendError):
        backend.store([record("a")])

    (tmp_path / "late").mkdir()

    assert backend.store([record("a")]) == [True]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "celery-task-meta-a").mkdir()

    with pytest.raises(BackendError, match=r"Is a directory$"):
        opened(tmp_path).store([record("a")])

    assert {one.name for one in tmp_path.iterdir()} == {"celery-task-meta-a", LOCK}


def test_a_full_disk_is_told_and_the_old_record_stays(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    opened(tmp_path).store([record("a", "STARTED")])

    class Full(Directory):
        def _write(self, place: str, value: bytes) -> None:
            with self._in_words(), full.open("wb") as file:
                file.write(value)

    with pytest.raises(BackendError, match=r"No space left on device; delete something, or have results expire sooner"):
        Full(str(tmp_path), lambda _: None).change({"celery-task-meta-a": lambda _: Kept(b"x", None)})

    assert opened(tmp_path).fetch(["a"]) == {"a": record("a", "STARTED")}


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    with (directory / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_directory_that_another_process_keeps_locked_is_told_and_can_be_read(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), lambda _: None, patience_s=0.05)
    directory.change({"celery-task-meta-a": lambda _: Kept(b"x", None)})

    with locked(tmp_path):
        with pytest.raises(BackendError, match=r"has been locked for 0\.05 seconds: does a process hang"):
            directory.drop(["celery-task-meta-a"])

        assert directory.read(["celery-task-meta-a"]) == {"celery-task-meta-a": b"x"}


def test_a_child_that_is_forked_meanwhile_keeps_no_lock(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path), lambda _: None, patience_s=0.05)
    children = []

    def fork(_: bytes | None) -> Kept:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
        return Kept(b"x", None)

    directory.change({"celery-task-meta-a": fork})
    try:
        directory.drop(["celery-task-meta-a"])
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)


def test_a_cleanup_leaves_alone_what_is_not_a_result_and_what_is_being_written(tmp_path: Path) -> None:
    week_ago = time.time() - 7 * 86_400
    for name in ("notes.txt", ".celery-rs-draft-old", "celery-task-meta-old", "chord-unlock-old"):
        (tmp_path / name).write_bytes(b"{}")
        os.utime(tmp_path / name, (week_ago, week_ago))
    (tmp_path / ".celery-rs-draft-new").touch()

    opened(tmp_path).cleanup()

    assert {one.name for one in tmp_path.iterdir()} == {"notes.txt", ".celery-rs-draft-new", LOCK}


def write_attempts(path: Path, number: int) -> None:
    backend = opened(path)
    for attempt in range(50):
        backend.store([record("a", "RETRY", 2 * attempt + number)])


def test_writers_of_one_record_do_not_undo_each_other(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    writers = [processes.Process(target=write_attempts, args=(tmp_path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(DEADLINE_S)

    assert opened(tmp_path).fetch(["a"])["a"].attempt == 99


@pytest.mark.parametrize("url", ["file://", "file:///", "file://localhost/"])
def test_a_url_without_a_directory_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="expected a result store such as 'file:///var/lib/results'"):
        open_backend(url, {}, expires=None)


def test_urls_are_celerys(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}", f"file://localhost{tmp_path}"):
        assert open_backend(url, {}, expires=None).describe() == f"file://{tmp_path}"
