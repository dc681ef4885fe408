"""control, inspect and status, asking workers that only answer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from celery_rs.control import ControlRequest
from celery_rs.transports.memory import MemoryTransport
from celery_rs.worker import control_command
from celery_rs.worker.commands import table
from tests.cli.conftest import Run, error_of
from tests.fake_worker import FakeWorker, fake_workers

BRIEF = ("-t", "0.05")
LONG = ("-t", "30")


@contextmanager
def answering(broker: str, *nodes: str, reply: Any) -> Iterator[list[FakeWorker]]:
    def answer(_: ControlRequest) -> Any:
        return reply

    with fake_workers(MemoryTransport(broker.removeprefix("memory://")), *nodes, answer=answer) as team:
        yield team


def test_a_rate_limit_is_confirmed_by_each_worker(run: Run, broker: str) -> None:
    with answering(broker, "w2@h", "w1@h", reply={"ok": "new rate limit set successfully"}) as (worker, _):
        result = run("-b", broker, "control", *LONG, "-d", "w1@h,w2@h", "rate_limit", "proj.add", "10/m")

    assert result.stdout == (
        "w1@h: OK\n    new rate limit set successfully\nw2@h: OK\n    new rate limit set successfully\n"
    )
    assert result.exit_code == 0
    assert worker.heard[0].arguments == {"task_name": "proj.add", "rate_limit": "10/m"}


def test_a_worker_that_refuses_is_a_failure(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", reply={"error": "unknown task"}):
        result = run("-b", broker, "control", *LONG, "-d", "w1@h", "rate_limit", "nope", "10/m")

    assert result.stdout == "w1@h: ERROR\n    unknown task\n"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ([], "- empty -"),
        (["a", {"b": 1}], '* a\n    * {"b": 1}'),
        ({"b": [1], "a": None}, '{\n        "a": null,\n        "b": [\n            1\n        ]\n    }'),
        ("one\ntwo", "one\n    two"),
        (None, "null"),
        (7, "7"),
    ],
)
def test_replies_are_indented_below_their_worker(run: Run, broker: str, reply: Any, shown: str) -> None:
    with answering(broker, "w1@h", reply=reply):
        result = run("-b", broker, "inspect", *LONG, "-d", "w1@h", "active")

    assert result.stdout == f"w1@h: OK\n    {shown}\n\n1 node online.\n"


def test_json_is_one_document_and_nothing_else(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", "w2@h", reply={"ok": "pong"}):
        asked = [
            run("-b", broker, *command, "--json", *LONG, "-d", "w1@h,w2@h", *words)
            for command, words in ((["inspect"], ["ping"]), (["status"], []))
        ]

    for result in asked:
        assert json.loads(result.stdout) == {"w1@h": {"ok": "pong"}, "w2@h": {"ok": "pong"}}


def test_status_counts_the_workers(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", "w2@h", reply={"ok": "pong"}):
        result = run("-b", broker, "status", *LONG, "-d", "w2@h,w1@h")
        quiet = run("-b", broker, "-q", "status", *LONG, "-d", "w1@h")

    assert result.stdout == "w1@h: OK\nw2@h: OK\n\n2 nodes online.\n"
    assert quiet.stdout == "w1@h: OK\n"


@pytest.mark.parametrize("command", [("status",), ("inspect", "ping"), ("control", "rate_limit", "x", "1/s")])
def test_nobody_answers(run: Run, broker: str, command: tuple[str, ...]) -> None:
    error = error_of(run("-b", broker, command[0], *BRIEF, *command[1:]), 69)

    assert error.startswith("No nodes replied within time constraint: no worker answered on memory://")
    assert "is one running with this broker?" in error


def test_one_of_those_asked_does_not_answer(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", reply={"ok": "pong"}):
        result = run("-b", broker, "status", "-t", "0.5", "-d", "w1@h,w2@h")

    assert result.stdout == "w1@h: OK\n\n1 node online.\n"
    assert error_of(result, 69).startswith("no reply from w2@h within 0.5 s")


@pytest.fixture
def slow_command(monkeypatch: pytest.MonkeyPatch) -> str:
    """A control command of somebody's own, which is slow to answer."""
    monkeypatch.setattr(table, "_rows", dict(table._rows))
    monkeypatch.setattr(table, "_names", dict(table._names))

    @control_command(name="slow_one", default_timeout=0.3)
    def slow_one(state: Any, files: Sequence[str]) -> None:
        """Takes its time."""

    return "slow_one"


def test_a_command_may_ask_for_more_patience(run: Run, broker: str, slow_command: str) -> None:
    error = error_of(run("-b", broker, "control", slow_command, "a"), 69)
    brief = error_of(run("-b", broker, "control", "-t", "0.05", slow_command, "a"), 69)

    assert "within 0.3 s" in error
    assert "within 0.05 s" in brief


def test_a_command_that_wants_words_gets_one_at_least(run: Run, broker: str) -> None:
    assert error_of(run("-b", broker, "control", "revoke"), 2) == "'revoke' takes <id> [id ...], got nothing"


def test_the_commands_are_listed(run: Run, broker: str, slow_command: str) -> None:
    listed = run("control", "--list").stdout

    assert "rate_limit <task> <10/s | 5/m | 2/h | 0>" in listed
    assert "slow_one" in listed
    assert "Takes its time." in listed
    assert "ping" in run("inspect", "--list").stdout


def test_words_become_arguments_by_the_table(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", reply=[]) as (worker,):
        run("-b", broker, "inspect", *LONG, "-d", "w1@h", "registered", "rate_limit", "queue")
        run("-b", broker, "inspect", *LONG, "-d", "w1@h", "dump_active", "true")

    assert [(one.method, one.arguments) for one in worker.heard] == [
        ("registered", {"taskinfoitems": ["rate_limit", "queue"]}),
        ("active", {"safe": True}),
    ]
