"""Messages that nobody should have sent: each is dealt with, and the worker lives."""

import random
from typing import Any

from celery_rs.transports import DeadLetter, Outgoing, Route
from tests.messages import message
from tests.worker.process import Project, eventually


def letters(project: Project) -> dict[str | None, DeadLetter]:
    """The dead letters, by task id."""
    return {letter.task_id: letter for letter in project.app.transport.dead.page().letters}


def send(project: Project, **fields: Any) -> None:
    task = "tests.worker.proj.add"
    project.app.publish([Outgoing(message(**{"task": task, **fields}), Route("", "celery"))])


def still_works(project: Project) -> bool:
    return bool(project.proj.add.delay(1, 1).get(timeout=10) == 2)


def test_an_unknown_task_fails_for_its_caller_and_is_kept(project: Project) -> None:
    result = project.app.send_task("proj.unknown")

    with project.worker("-c", "1"):
        eventually(result.ready)
        assert still_works(project)

    assert "'proj.unknown' is not registered" in str(result.result)
    assert letters(project)[result.id].reason == "unknown-task"


def test_a_body_that_cannot_be_read_fails_for_its_caller_and_is_kept(project: Project) -> None:
    send(project, id="bad-body", body=b"{not json")

    with project.worker("-c", "1"):
        result = project.app.AsyncResult("bad-body")
        eventually(result.ready)
        assert still_works(project)

    assert result.state == "FAILURE"
    assert letters(project)["bad-body"].reason == "rejected"


def test_a_refused_content_type_fails_for_its_caller_and_is_kept(project: Project) -> None:
    send(
        project,
        id="pickled",
        body=b"\x80\x04.",
        content_type="application/x-python-serialize",
        content_encoding="binary",
    )

    with project.worker("-c", "1"):
        result = project.app.AsyncResult("pickled")
        eventually(result.ready)
        assert still_works(project)

    assert "application/x-python-serialize" in str(result.result)
    assert "accept_content" in str(result.result)
    assert "pickled" in letters(project)


def test_wrong_arguments_fail_for_their_caller(project: Project) -> None:
    result = project.app.send_task("tests.worker.proj.add", (1,))

    with project.worker("-c", "1"):
        eventually(result.ready)
        assert still_works(project)

    assert "missing 1 required positional argument: 'y'" in str(result.result)


def test_a_two_element_body_does_not_stop_the_worker(project: Project) -> None:
    send(project, id="short", body=b"[[1, 1], {}]")

    with project.worker("-c", "1"):
        result = project.app.AsyncResult("short")
        eventually(result.ready)
        assert still_works(project)


def test_random_bytes_as_envelopes_all_become_dead_letters(project: Project) -> None:
    chance = random.Random(20_000)
    count = 100_000
    with project.worker("-c", "1"):
        assert still_works(project)
        project.inject([chance.randbytes(chance.randrange(200)) for _ in range(count)])

        eventually(lambda: project.app.transport.queues(["celery"])["celery"].dead == count)
        assert still_works(project)
