"""Remote commands against a worker made of plain data; the replies are those recorded from Celery."""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from celery_rs import _core
from celery_rs.control import ControlRequest, Inspect
from celery_rs.wire import Exchange, Queue
from celery_rs.worker.commands import ActiveTask, command, find_command, list_commands, run
from celery_rs.worker.commands.table import _names, _rows
from tests.messages import envelope


class FakeState:
    """A worker that runs what it is told to run."""

    hostname = "w1@h"

    def __init__(self, *running: ActiveTask) -> None:
        tasks = {"proj.add": SimpleNamespace(rate_limit=None), "celery.backend_cleanup": SimpleNamespace()}
        self.app: Any = SimpleNamespace(tasks=tasks)
        self.rates: dict[str, object] = {}
        self._running = running

    def set_rate(self, task: str, rate: str | float | None) -> None:
        self.rates[task] = _core.parse_rate(rate)

    def active(self) -> Sequence[ActiveTask]:
        return self._running

    def reserved(self) -> Sequence[ActiveTask]:
        return self._running

    def queues(self) -> Sequence[Queue]:
        return [Queue("celery", Exchange("celery"), "celery")]

    def stats(self) -> Mapping[str, object]:
        return {"pid": 7}


def asked(state: FakeState, method: str, **arguments: Any) -> Any:
    return run(ControlRequest(method, arguments), state)


def active_task(**changes: Any) -> ActiveTask:
    body = json.dumps([[60], {"x": 1}, {}]).encode()
    fields = {"argsrepr": "(60,)", "kwargsrepr": "{'x': 1}", **changes}
    opened = envelope("proj.slow", "id-1", **{"body": body, **fields})
    return ActiveTask(opened, "celery", False, True, 1795352714.25, 23986)


@pytest.mark.parametrize(
    ("rate", "reply"),
    [
        ("100/m", {"ok": "new rate limit set successfully"}),
        (5, {"ok": "new rate limit set successfully"}),
        (0, {"ok": "rate limit disabled successfully"}),
        ("0", {"ok": "rate limit disabled successfully"}),
        (None, {"ok": "rate limit disabled successfully"}),
    ],
)
def test_a_rate_is_set_with_celerys_words(rate: Any, reply: object) -> None:
    state = FakeState()

    assert asked(state, "rate_limit", task_name="proj.add", rate_limit=rate) == reply
    assert state.rates == {"proj.add": _core.parse_rate(rate)}
    assert state.app.tasks["proj.add"].rate_limit == rate


@pytest.mark.parametrize("rate", ["10/fortnight", "fast", "-1", [1], {"a": 1}])
def test_a_bad_rate_is_refused_and_changes_nothing(rate: Any) -> None:
    state = FakeState()

    reply = asked(state, "rate_limit", task_name="proj.add", rate_limit=rate)

    assert reply["error"].startswith("Invalid rate limit string: ")
    assert state.rates == {}


def test_a_rate_for_an_unknown_task_is_an_error() -> None:
    assert asked(FakeState(), "rate_limit", task_name="nope", rate_limit="1/s") == {"error": "unknown task"}


def test_ping_answers_pong() -> None:
    assert asked(FakeState(), "ping") == {"ok": "pong"}


def test_active_shows_what_celery_shows() -> None:
    assert asked(FakeState(active_task()), "active") == [
        {
            "id": "id-1",
            "name": "proj.slow",
            "args": [60],
            "kwargs": {"x": 1},
            "type": "proj.slow",
            "hostname": "w1@h",
            "time_start": 1795352714.25,
            "acknowledged": True,
            "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 0, "redelivered": False},
            "worker_pid": 23986,
        }
    ]


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (active_task(), {"safe": True}),
        (active_task(content_type="application/x-python-serialize"), {}),
        (active_task(compression="application/x-gzip"), {}),
        (active_task(body=b"{"), {}),
        (active_task(body=b"[1]"), {}),
        (active_task(body=b"[" * 100_000), {}),
    ],
    ids=["safe", "pickle", "compressed", "broken", "no triple", "deep"],
)
def test_arguments_that_are_not_to_be_opened_are_shown_as_their_sender_wrote_them(
    task: ActiveTask, arguments: dict[str, Any]
) -> None:
    (shown,) = asked(FakeState(task), "dump_active", **arguments)

    assert (shown["args"], shown["kwargs"]) == ("(60,)", "{'x': 1}")


def test_registered_lists_tasks_with_their_attributes() -> None:
    state = FakeState()
    state.app.tasks["proj.slow"] = SimpleNamespace(rate_limit="1/m", queue="q")

    assert asked(state, "registered") == ["proj.add", "proj.slow [rate_limit=1/m]"]
    assert asked(state, "registered", taskinfoitems=["queue"]) == ["proj.add", "proj.slow [queue=q]"]
    assert "celery.backend_cleanup" in asked(state, "registered", builtins=True)


def test_active_queues_names_the_exchange() -> None:
    (queue,) = asked(FakeState(), "active_queues")

    assert queue["name"] == "celery"
    assert queue["exchange"]["type"] == "direct"


def test_hello_leaves_a_celery_worker_as_it_is_and_ignores_itself() -> None:
    assert asked(FakeState(), "hello", from_node="other@h", revoked=["x"]) == {"revoked": [], "clock": 0}
    assert asked(FakeState(), "hello", from_node="w1@h") is None


def test_an_unknown_method_is_answered_as_celery_answers_it() -> None:
    assert asked(FakeState(), "no_such_command") == {"error": "KeyError('no_such_command')"}


@pytest.mark.parametrize(
    ("method", "arguments"), [("ping", {"x": 1}), ("rate_limit", {}), ("rate_limit", {"task_name": []})]
)
def test_wrong_arguments_are_the_reply(method: str, arguments: dict[str, Any]) -> None:
    assert asked(FakeState(), method, **arguments)["error"].startswith("TypeError(")


def test_a_command_of_ones_own_joins_the_table() -> None:
    try:

        @command("shout", kind="inspect", args="<word> [times]", help="Louder.", aliases=("cry",))
        def shout(state: FakeState, word: str, times: int = 1) -> object:
            return {"ok": word.upper() * times}

        assert asked(FakeState(), "cry", word="a", times=2) == {"ok": "AA"}
        assert [(p.name, p.type, p.required) for p in list_commands("inspect")[-2].parameters] == [
            ("word", "text", True),
            ("times", "integer", False),
        ]
    finally:
        del _rows["shout"], _names["shout"], _names["cry"]


@pytest.mark.parametrize("row", list_commands("inspect"), ids=lambda row: row.name)
def test_every_inspect_command_is_a_method_of_the_client(row: Any) -> None:
    assert callable(getattr(Inspect, row.name))
    assert all(find_command(alias) is row for alias in row.aliases)
