"""dead: list, show, retry and purge what could not be run."""

import json

import pytest

from celery_rs.app import Celery
from celery_rs.transports import Burial
from tests.cli.conftest import Run, error_of


@pytest.fixture
def buried(run: Run, broker: str) -> list[str]:
    """The task ids of two dead letters, of queue a and of queue b."""
    ids = [run("-b", broker, "call", f"proj.{queue}", "-a", "[1]", "--queue", queue).stdout.strip() for queue in "ab"]
    consumer = Celery("burier", broker=broker, set_as_current=False).transport.consume(["a", "b"])
    deliveries = consumer.receive(10, 0).deliveries
    consumer.bury({delivery.tag: Burial("unknown-task", "no such task") for delivery in deliveries})
    consumer.close()
    return ids


def test_there_may_be_none(run: Run, broker: str) -> None:
    assert run("-b", broker, "dead", "list").stdout.startswith("No dead letters in memory://")
    assert run("-b", broker, "-q", "dead", "list").stdout == ""
    assert json.loads(run("-b", broker, "dead", "list", "--json").stdout) == []


def test_they_are_listed_with_the_reason(run: Run, broker: str, buried: list[str]) -> None:
    header, first, second = run("-b", broker, "dead", "list").stdout.splitlines()

    assert header.split() == ["Id", "Queue", "Task", "Task", "id", "Reason", "When"]
    assert first.split()[1:5] == ["a", "proj.a", buried[0], "unknown-task"]
    assert second.split()[1:3] == ["b", "proj.b"]


def test_a_listing_can_be_of_a_queue_and_of_a_length(run: Run, broker: str, buried: list[str]) -> None:
    of_b = json.loads(run("-b", broker, "dead", "list", "-Q", "b", "--json").stdout)
    one = json.loads(run("-b", broker, "dead", "list", "-n", "1", "--json").stdout)

    assert [letter["task_id"] for letter in of_b] == [buried[1]]
    assert [letter["task_id"] for letter in one] == [buried[0]]


def test_one_is_shown_whole(run: Run, broker: str, buried: list[str]) -> None:
    (letter, *_) = json.loads(run("-b", broker, "dead", "list", "--json").stdout)

    shown = run("-b", broker, "dead", "show", letter["id"]).stdout
    document = json.loads(run("-b", broker, "dead", "show", letter["id"], "--json").stdout)

    assert "detail:      no such task" in shown
    assert '"argsrepr": "[1]"' in shown or '"argsrepr": "(1,)"' in shown
    assert document["message"]["headers"]["id"] == buried[0]


@pytest.mark.parametrize("id", ["999", "nonsense"])
@pytest.mark.parametrize("command", ["show", "retry"])
def test_one_that_is_not_there_is_said_to_be_missing(run: Run, broker: str, command: str, id: str) -> None:
    error = error_of(run("-b", broker, "dead", command, id), 1)

    assert error.startswith(f"no dead letter {id!r} in memory://")


def test_they_go_back_to_their_queues(run: Run, broker: str, buried: list[str]) -> None:
    ids = [letter["id"] for letter in json.loads(run("-b", broker, "dead", "list", "--json").stdout)]

    assert run("-b", broker, "dead", "retry", ids[0]).stdout == "1 message went back to the queue.\n"
    assert json.loads(run("-b", broker, "dead", "retry", "--all", "-Q", "b", "--json").stdout) == {"retried": 1}
    assert run("-b", broker, "dead", "retry", "--all").stdout == "No dead letters to retry.\n"
    reader = Celery("reader", broker=broker, set_as_current=False).transport
    assert {name: info.ready for name, info in reader.queues(["a", "b"]).items()} == {"a": 1, "b": 1}


@pytest.mark.parametrize("words", [(), ("1", "--all"), ("1", "-Q", "a")])
def test_retry_wants_ids_or_all(run: Run, broker: str, words: tuple[str, ...]) -> None:
    assert error_of(run("-b", broker, "dead", "retry", *words), 2).startswith("expected ids of dead letters, or --all")


def test_they_are_deleted_after_a_question(run: Run, broker: str, buried: list[str]) -> None:
    refused = run("-b", broker, "dead", "purge", input="n\n")
    kept = run("-b", broker, "dead", "purge", "-f", "--older-than", "3600")
    gone = run("-b", broker, "dead", "purge", "-f", "--json")

    assert refused.exit_code == 1
    assert "(-f skips this question)" in refused.stderr
    assert kept.stdout == "No dead letters to delete.\n"
    assert json.loads(gone.stdout) == {"deleted": 2}
