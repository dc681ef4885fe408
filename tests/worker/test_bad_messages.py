"""Messages that nobody should have sent: each is dealt with, its caller told, nothing lost, and the worker lives.

One worker for all of them, on each broker.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from celery_rs.transports import DeadLetter, Outgoing, Route
from celery_rs.wire import new_id
from tests.conformance.worlds import REDIS_URL, WORLDS
from tests.deadlines import DEADLINE_S, eventually
from tests.messages import message
from tests.worker.odd_messages import BURIED, FAILS, RUNS, raw_of, twice
from tests.worker.process import Project, project_in

Push = Callable[[Sequence[bytes]], None]


class Rig(NamedTuple):
    """A project whose worker runs, and a way to put bytes into its queue `celery` as a foreign client would."""

    project: Project
    push: Push

    def log(self) -> list[str]:
        """What the worker complained of."""
        return re.findall(r"^\[\S+ \S+: (?:WARNING|ERROR|CRITICAL)/.*", self.project.log("odd"), re.MULTILINE)

    def letters(self) -> dict[str, DeadLetter]:
        return {letter.id: letter for letter in self.project.app.transport.dead.page(limit=1_000).letters}

    def still_works(self) -> bool:
        return bool(self.project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2)


@contextmanager
def on_sqlite(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with project_in(folder, patch) as project, project.worker("-c", "1", name="odd"):
        yield Rig(project, project.inject)


@contextmanager
def on_redis(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Rig]:
    prefix = f"odd-{new_id()}:"
    settings = {
        "broker_transport_options": {"global_keyprefix": prefix},
        "result_backend": f"sqlite:///{folder}/results.sqlite3",
    }
    patch.setenv("PROJ_SETTINGS", json.dumps(settings))
    with redis.Redis.from_url(REDIS_URL) as server:

        def push(envelopes: Sequence[bytes]) -> None:
            for start in range(0, len(envelopes), 10_000):
                server.lpush(f"{prefix}celery", *envelopes[start : start + 10_000])

        with project_in(folder, patch, REDIS_URL) as project, project.worker("-c", "1", name="odd", settings=settings):
            yield Rig(project, push)
        for key in server.scan_iter(f"{prefix}*", count=1_000):
            server.delete(key)


BROKERS = {"sqlite": on_sqlite} | ({"redis": on_redis} if "redis" in WORLDS else {})


@pytest.fixture(params=BROKERS, scope="module")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with (
        pytest.MonkeyPatch.context() as patch,
        BROKERS[request.param](tmp_path_factory.mktemp("odd"), patch) as rig,
    ):
        yield rig


@pytest.mark.parametrize("name", RUNS)
def test_an_odd_message_runs(rig: Rig, name: str) -> None:
    id = new_id()
    before = rig.letters()

    rig.push([raw_of(RUNS[name], id)])

    assert rig.project.app.AsyncResult(id).get(timeout=DEADLINE_S) == 3
    assert rig.letters() == before


def test_of_a_key_that_comes_twice_the_last_counts(rig: Rig) -> None:
    id = new_id()

    rig.push([twice(id)])

    assert rig.project.app.AsyncResult(id).get(timeout=DEADLINE_S) == 3


@pytest.mark.parametrize("name", FAILS)
def test_a_message_that_cannot_run_fails_for_its_caller_and_is_kept(rig: Rig, name: str) -> None:
    id = new_id()
    raw, before, complaints = raw_of(FAILS[name], id), rig.letters(), rig.log()

    rig.push([raw])
    result = rig.project.app.AsyncResult(id)
    eventually(result.ready)

    assert result.state == "FAILURE"
    eventually(lambda: len(rig.letters()) > len(before))
    (letter,) = (letter for key, letter in rig.letters().items() if key not in before)
    assert letter.envelope == raw
    assert "\n" not in letter.detail
    assert rig.still_works()
    assert len(rig.log()) == len(complaints) + 1, rig.log()[len(complaints) :]


@pytest.mark.parametrize("name", BURIED)
def test_what_nobody_can_be_told_of_is_kept(rig: Rig, name: str) -> None:
    raw, before, complaints = BURIED[name], rig.letters(), rig.log()

    rig.push([raw])
    eventually(lambda: len(rig.letters()) > len(before))

    (letter,) = (letter for key, letter in rig.letters().items() if key not in before)
    assert (letter.envelope, letter.reason) == (raw, "undecodable")
    assert "\n" not in letter.detail
    assert rig.still_works()
    assert len(rig.log()) == len(complaints) + 1


def test_wrong_arguments_fail_for_their_caller(rig: Rig) -> None:
    result = rig.project.app.send_task("tests.worker.proj.add", (1,))

    eventually(result.ready)

    assert "missing 1 required positional argument: 'y'" in str(result.result)
    assert rig.still_works()


def test_a_caller_is_told_what_to_do_about_a_refused_type(rig: Rig) -> None:
    odd = message(
        task="tests.worker.proj.add",
        body=b"\x80\x04.",
        content_type="application/x-python-serialize",
        content_encoding="binary",
    )
    rig.project.app.publish([Outgoing(odd, Route("", "celery"))])

    result = rig.project.app.AsyncResult(odd.id)
    eventually(result.ready)

    assert "application/x-python-serialize" in str(result.result)
    assert "accept_content" in str(result.result)


def test_random_bytes_as_envelopes_all_become_dead_letters(rig: Rig) -> None:
    chance = random.Random(20_000)
    count = 100_000
    queues = rig.project.app.transport.queues
    before = queues(["celery"])["celery"].dead or 0

    rig.push([chance.randbytes(chance.randrange(200)) for _ in range(count)])

    # It comes after all of them, and is less work to look for than the letters.
    assert rig.project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2
    eventually(lambda: queues(["celery"])["celery"].dead == before + count)
