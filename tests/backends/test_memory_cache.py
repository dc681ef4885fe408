"""cache+memory://: the values of a name are this process's, and nobody else's."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest

from celery_rs.backends.cache.memory import MemoryValues
from celery_rs.backends.key_value import Kept, Keys, KeyValueBackend, Lasting
from celery_rs.errors import BackendError
from celery_rs.transports.faults import Clock
from celery_rs.wire import ResultCodec, TaskResult, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S


def record(task_id: str) -> TaskResult:
    return TaskResult(task_id, "SUCCESS", 0, encode_meta(task_id, "SUCCESS", None, now=0.0))


def keep(value: bytes, lasts: float | None) -> Callable[[bytes | None], Kept]:
    return lambda _: Kept(value, lasts)


def test_apps_of_one_name_share_it_and_others_do_not(tmp_path: Path) -> None:
    url = f"cache+memory://{tmp_path.name}"
    with (
        closing(make_app(result_backend=url)) as one,
        closing(make_app(result_backend=url)) as same,
        closing(make_app(result_backend=f"{url}-other")) as other,
    ):
        one.backend.store([record("a")])

        assert same.backend.fetch(["a"]) == {"a": record("a")}
        assert other.backend.fetch(["a"]) == {}


def test_a_worker_writes_it_in_its_main_process(tmp_path: Path) -> None:
    with closing(make_app(result_backend=f"cache+memory://{tmp_path.name}")) as app:
        assert app.backend.place == "parent"


def test_a_forked_child_is_refused_in_one_line(tmp_path: Path) -> None:
    values = MemoryValues(str(tmp_path))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            values.read(["a"])
        except BackendError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)

    with open(read) as said:
        assert f"out of reach of its forked child {child}; use a result store that processes can share" in said.read()


def test_who_waits_is_told_at_once(tmp_path: Path) -> None:
    values = MemoryValues(str(tmp_path))
    backend = KeyValueBackend(values, Keys(), Lasting(60.0, None), ResultCodec(), wait=values.wait)
    written: list[float] = []

    def write() -> None:
        written.append(time.monotonic())
        backend.store([record("a")])

    writer = Timer(1.5, write)  # by then the pauses are half a second
    writer.start()

    (found,) = backend.watch(["a"], DEADLINE_S)
    seen = time.monotonic()
    writer.join()

    assert found == record("a")
    assert seen - written[0] < 0.25


def test_what_has_expired_takes_no_room_for_ever(tmp_path: Path) -> None:
    clock = Clock()
    values = MemoryValues(str(tmp_path), clock)
    values.change({"old": keep(b"x", 60.0), "kept": keep(b"x", None)})
    clock.jump(61)

    for number in range(1001):
        values.change({f"new {number}": keep(b"x", 60.0)})

    assert values.read(["old", "kept"]).keys() == {"kept"}
    assert "old" not in values._shelf.entries


@pytest.mark.parametrize("lasts", [None, 60.0])
def test_a_step_that_gives_nothing_changes_nothing(lasts: float | None, tmp_path: Path) -> None:
    values = MemoryValues(str(tmp_path))
    values.change({"a": keep(b"x", lasts)})

    values.change({"a": lambda old: None})

    assert values.read(["a"]) == {"a": b"x"}
