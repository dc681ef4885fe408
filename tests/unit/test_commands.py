"""Remote commands against a worker made of plain data; the replies are those recorded from Celery."""

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from celery_rs import _core
from celery_rs.control import Control, ControlRequest, Inspect
from celery_rs.transports import Delayed
from celery_rs.wire import Broadcast, Exchange, Queue, binding
from celery_rs.worker import control_command, inspect_command
from celery_rs.worker.commands import Later, Promise, command, find_command, list_commands, run
from celery_rs.worker.commands.table import _names, _rows
from celery_rs.worker.request import Request
from tests.messages import envelope


class FakeState:
    """A worker that runs what it is told to run, and notes what it was told to do."""

    hostname = "w1@h"

    def __init__(self, *running: Request, **settings: object) -> None:
        tasks = {"proj.add": SimpleNamespace(rate_limit=None), "celery.backend_cleanup": SimpleNamespace()}
        defaults = {"worker_disable_rate_limits": False, "worker_pool_restarts": False}
        self.app: Any = SimpleNamespace(tasks=tasks, conf={**defaults, **settings})
        self.rates: dict[str, object] = {}
        self.told: list[object] = []
        self.consumed = [Queue("celery", Exchange("celery"), "celery")]
        self.tells = False
        self._running = running

    def set_rate(self, task: str, rate: str | float | None) -> None:
        self.rates[task] = _core.parse_rate(rate)

    def set_time_limits(self, task: str, soft: float | None, hard: float | None) -> None:
        self.told.append((task, soft, hard))

    def active(self) -> Sequence[Request]:
        return self._running

    def reserved(self) -> Sequence[Request]:
        return self._running

    def scheduled(self) -> Sequence[Request]:
        return self._running

    def scheduled_at_broker(self, limit: int) -> Sequence[Delayed]:
        return [Delayed("celery", 1_800_000_000.0, envelope("proj.add", "id-9", priority=3))]

    def revoked(self) -> Sequence[str]:
        return ["id-0"]

    def queues(self) -> Sequence[Queue]:
        return self.consumed

    def stats(self) -> Mapping[str, object]:
        return {"pid": 7}

    def clock(self) -> int:
        return 5

    def revoke(self, ids: Sequence[str], signum: signal.Signals | None = None) -> list[str]:
        self.told.append(("revoke", list(ids), signum))
        return [one.id for one in self._running if one.id in ids]

    def revoke_stamped(self, stamps: Mapping[str, Sequence[Any]], signum: signal.Signals | None = None) -> list[str]:
        self.told.append(("revoke_stamped", dict(stamps), signum))
        return [one.id for one in self._running]

    def send_task_events(self, on: bool) -> bool:
        before, self.tells = self.tells, on
        return before

    def beat(self) -> None:
        self.told.append("beat")

    def shutdown(self) -> None:
        self.told.append("shutdown")

    def resize(self, by: int) -> None:
        self.told.append(("resize", by))

    def autoscale(self, most: int | None, least: int | None) -> tuple[int, int]:
        return most or 9, least or 1

    def restart_pool(self) -> None:
        self.told.append("restart")

    def configured(self, queue: str) -> Queue:
        return Queue(queue)

    def consume(self, queue: Queue) -> Promise:
        self.consumed.append(queue)
        return Promise()

    def cancel(self, queue: str) -> None:
        self.told.append(("cancel", queue))


def asked(state: FakeState, method: str, **arguments: Any) -> Any:
    return run(ControlRequest(method, arguments), state)


def active_task(**changes: Any) -> Request:
    body = json.dumps([[60], {"x": 1}, {}]).encode()
    fields = {"argsrepr": "(60,)", "kwargsrepr": "{'x': 1}", **changes}
    request = Request(FakeState().app, "w1@h", envelope("proj.slow", "id-1", **{"body": body, **fields}))
    request.acknowledged, request.time_start, request.worker_pid = True, 1795352714.25, 23986
    return request


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
    task: Request, arguments: dict[str, Any]
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
    assert queue["exchange"]["name"] == "celery"
    assert queue["exchange"]["type"] == "direct"


def test_active_queues_says_all_of_a_queue() -> None:
    state = FakeState()
    state.consumed[:] = [Broadcast("all", expires=60, bindings=[binding("more", "key")])]

    (queue,) = asked(state, "active_queues")

    assert (queue["alias"], queue["auto_delete"], queue["expires"]) == ("all", True, 60)
    assert queue["exchange"]["type"] == "fanout"
    assert [(bound["exchange"]["name"], bound["routing_key"]) for bound in queue["bindings"]] == [("more", "key")]


def test_a_queue_that_is_consumed_already_is_known_by_its_alias() -> None:
    state = FakeState()
    state.consumed[:] = [Broadcast("all")]

    assert asked(state, "add_consumer", queue="all") == {"ok": "already consuming from 'all'"}


def test_hello_exchanges_what_was_revoked_and_ignores_itself() -> None:
    state = FakeState()

    assert asked(state, "hello", from_node="other@h", revoked=["x"]) == {"revoked": ["id-0"], "clock": 5}
    assert asked(state, "hello", from_node="w1@h") is None
    assert state.told == [("revoke", ["x"], None)]


def test_an_unknown_method_is_answered_as_celery_answers_it() -> None:
    assert asked(FakeState(), "no_such_command") == {"error": "KeyError('no_such_command')"}


@pytest.mark.parametrize(
    ("method", "arguments"), [("ping", {"x": 1}), ("rate_limit", {}), ("rate_limit", {"task_name": []})]
)
def test_wrong_arguments_are_the_reply(method: str, arguments: dict[str, Any]) -> None:
    assert asked(FakeState(), method, **arguments)["error"].startswith("TypeError(")


def test_a_refusal_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked(FakeState(), "pool_restart")

    (record,) = caplog.records
    assert record.getMessage().endswith("ValueError('Pool restarts not enabled')")
    assert not record.exc_info


@pytest.mark.usefixtures("table")
def test_a_command_of_ones_own_that_fails_shows_where(caplog: pytest.LogCaptureFixture) -> None:
    @inspect_command
    def broken(state: Any) -> object:
        raise ValueError("mine")

    assert asked(FakeState(), "broken") == {"error": "ValueError('mine')"}
    assert "in broken" in caplog.text


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


@pytest.mark.parametrize(
    ("method", "arguments", "told", "reply"),
    [
        ("revoke", {"task_id": "id-1"}, ("revoke", ["id-1"], None), "tasks {'id-1'} flagged as revoked"),
        (
            "revoke",
            {"task_id": ["b", "a", "b"], "signal": "TERM"},
            ("revoke", ["b", "a"], None),
            "tasks {'b', 'a'} flagged as revoked",
        ),
        (
            "revoke",
            {"task_id": "id-1", "terminate": True, "signal": "KILL"},
            ("revoke", ["id-1"], signal.SIGKILL),
            "terminate: id-1",
        ),
        ("terminate", {"task_id": "id-1", "signal": None}, ("revoke", ["id-1"], signal.SIGTERM), "terminate: id-1"),
        (
            "terminate",
            {"task_id": "other", "signal": "sigint"},
            ("revoke", ["other"], signal.SIGINT),
            "terminate: tasks unknown",
        ),
        (
            "revoke_by_stamped_headers",
            {"headers": ["customer=7", "customer=8"]},
            ("revoke_stamped", {"customer": ["7", "8"]}, None),
            "headers {'customer': ['7', '8']} flagged as revoked, but not terminated",
        ),
        (
            "revoke_by_stamped_headers",
            {"headers": {"customer": 7}, "terminate": True},
            ("revoke_stamped", {"customer": [7]}, signal.SIGTERM),
            "headers {'customer': 7} revoked",
        ),
    ],
)
def test_revoking_is_answered_in_celerys_words(method: str, arguments: Any, told: object, reply: str) -> None:
    state = FakeState(active_task())

    assert asked(state, method, **arguments) == {"ok": reply}
    assert state.told == [told]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("terminate", {"task_id": "id-1", "signal": "LOUD"}),
        ("revoke_by_stamped_headers", {"headers": ["customer"]}),
    ],
)
def test_a_revoke_that_makes_no_sense_changes_nothing(method: str, arguments: Any) -> None:
    state = FakeState(active_task())

    assert asked(state, method, **arguments)["error"].startswith("ValueError(")
    assert state.told == []


def test_time_limits_are_set_for_the_task_and_what_starts_from_now_on() -> None:
    state = FakeState()

    assert asked(state, "time_limit", task_name="proj.add", soft="1.5", hard=3) == {
        "ok": "time limits set successfully"
    }
    assert state.told == [("proj.add", 1.5, 3.0)]
    assert (state.app.tasks["proj.add"].soft_time_limit, state.app.tasks["proj.add"].time_limit) == (1.5, 3.0)


def test_a_time_limit_is_lifted_and_refused_as_the_rate_limit_is() -> None:
    state = FakeState()

    assert asked(state, "time_limit", task_name="nope", soft=1) == {"error": "unknown task"}
    assert "seconds above 0" in asked(state, "time_limit", task_name="proj.add", soft="soon")["error"]
    assert asked(state, "time_limit", task_name="proj.add") == {"ok": "time limits set successfully"}
    assert state.told == [("proj.add", None, None)]


def test_a_rate_is_refused_by_a_worker_that_has_rate_limits_switched_off() -> None:
    state = FakeState(worker_disable_rate_limits=True)

    reply = asked(state, "rate_limit", task_name="proj.add", rate_limit="1/s")

    assert "worker_disable_rate_limits" in reply["error"]
    assert state.rates == {}


@pytest.mark.parametrize(
    ("method", "arguments", "told", "reply"),
    [
        ("shutdown", {}, ["shutdown"], "shutting down"),
        ("pool_grow", {}, [("resize", 1)], "pool will grow"),
        ("pool_shrink", {"n": 2}, [("resize", -2)], "pool will shrink"),
        ("autoscale", {"max": 5, "min": 1}, [], "autoscale now max=5 min=1"),
        ("cancel_consumer", {"queue": "q"}, [("cancel", "q")], "no longer consuming from q"),
    ],
)
def test_the_worker_is_changed_in_celerys_words(method: str, arguments: Any, told: list[object], reply: str) -> None:
    state = FakeState()

    assert asked(state, method, **arguments) == {"ok": reply}
    assert state.told == told


def test_the_pool_is_restarted_only_where_that_is_allowed() -> None:
    state = FakeState()

    assert asked(state, "pool_restart") == {"error": "ValueError('Pool restarts not enabled')"}
    assert asked(FakeState(worker_pool_restarts=True), "pool_restart") == {"ok": "reload started"}
    assert "restart the worker" in asked(FakeState(worker_pool_restarts=True), "pool_restart", modules=["m"])["error"]
    assert state.told == []


def test_a_queue_is_added_as_configured_or_as_described() -> None:
    state = FakeState()

    assert isinstance(asked(state, "add_consumer", queue="q", exchange=None, exchange_type="direct"), Promise)
    assert asked(
        state, "add_consumer", queue="t", exchange="e", exchange_type="topic", routing_key="a.*", durable=False
    )
    assert state.consumed[1:] == [Queue("q"), Queue("t", Exchange("e", "topic"), "a.*", durable=False)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"queue": ""}, "a queue's name"),
        ({"queue": "q", "exchange": "e", "exchange_type": "odd"}, "exchange type"),
        ({"queue": "q", "colour": "red"}, "queue options"),
        ({"queue": 3}, "must be a string"),
        ({"queue": "\ud800", "exchange": "e"}, "half a surrogate pair"),
        ({"queue": "q", "exchange": "\ud800"}, "half a surrogate pair"),
        ({"queue": "q", "routing_key": "\ud800"}, "half a surrogate pair"),
        ({"queue": "q", "expires": 1e308}, "must be seconds"),
        ({"queue": "q", "queue_arguments": {"x-expires": "soon"}}, "must be milliseconds"),
        ({"queue": "q", "queue_arguments": {"x-expires": 1e308}}, "must be milliseconds"),
    ],
)
def test_a_queue_that_makes_no_sense_is_refused(arguments: Any, error: str) -> None:
    state = FakeState()

    assert error in asked(state, "add_consumer", **arguments)["error"]
    assert len(state.consumed) == 1


@pytest.mark.parametrize("first", ["kept", "asked for"])
def test_who_asked_is_told_once_a_promise_is_kept(first: str) -> None:
    promise, told = Promise(), list[object]()

    if first == "kept":
        promise.keep({"ok": "done"})
        promise.then(told.append)
    else:
        promise.then(told.append)
        promise.keep({"ok": "done"})

    assert told == [{"ok": "done"}]


@pytest.mark.parametrize("queue", [None, "", 3, []])
def test_no_queue_is_cancelled_where_none_is_named(queue: Any) -> None:
    state = FakeState()

    assert "a queue's name" in asked(state, "cancel_consumer", queue=queue)["error"]
    assert len(state.consumed) == 1


def test_events_of_tasks_are_switched_on_and_off() -> None:
    state = FakeState()

    assert [asked(state, "enable_events") for _ in "12"] == [
        {"ok": "task events enabled"},
        {"ok": "task events already enabled"},
    ]
    assert state.tells
    assert [asked(state, "disable_events") for _ in "12"] == [
        {"ok": "task events disabled"},
        {"ok": "task events already disabled"},
    ]
    assert not state.tells


def test_a_heartbeat_is_sent_when_asked_for() -> None:
    state = FakeState()

    assert asked(state, "heartbeat") is None
    assert state.told == ["beat"]


def test_an_election_is_answered_with_nothing() -> None:
    assert asked(FakeState(), "election", id="1", topic="task", action={}) is None


def test_scheduled_tasks_are_those_here_and_those_at_the_broker() -> None:
    later = asked(FakeState(active_task(eta="2027-01-15T08:00:00+00:00")), "scheduled")
    assert isinstance(later, Later)

    here, kept = later.compute()

    assert (here["eta"], here["request"]["id"]) == ("2027-01-15T08:00:00+00:00", "id-1")
    assert (kept["eta"], kept["priority"], kept["request"]["id"]) == ("2027-01-15T08:00:00+00:00", 3, "id-9")


def test_a_task_is_found_by_its_id() -> None:
    found = asked(FakeState(active_task()), "query_task", ids=["id-1"])

    assert list(found) == ["id-1"]
    assert found["id-1"][0] == "active"


def test_a_task_that_the_broker_keeps_until_its_time_is_found_as_scheduled() -> None:
    later = asked(FakeState(active_task()), "query_task", ids=["id-1", "id-9", "other"])
    assert isinstance(later, Later)

    found = later.compute()

    assert {id: place for id, (place, _) in found.items()} == {"id-1": "active", "id-9": "scheduled"}


def test_memory_is_sampled_and_told() -> None:
    assert asked(FakeState(), "memsample").endswith("MB")
    assert "rss (end)" in asked(FakeState(), "memdump", samples=2)


def test_a_picture_of_objects_is_refused_by_name() -> None:
    assert asked(FakeState(), "objgraph", type="dict")["error"].startswith("objgraph is not supported")


def test_counting_objects_asks_none_of_them() -> None:
    class Sleeping:
        @property  # type: ignore[misc]  # nobody sets it
        def __class__(self) -> Any:
            raise RuntimeError("woken")

    sleeping = [Sleeping()]

    assert "there are 1 objects of type 'Sleeping'" in asked(FakeState(), "objgraph", type="Sleeping")["error"]
    assert len(sleeping) == 1


@pytest.fixture
def table() -> Iterator[None]:
    """Commands that the test adds are gone afterwards."""
    rows, names = dict(_rows), dict(_names)
    yield
    for known, before in ((_rows, rows), (_names, names)):
        known.clear()
        known.update(before)  # type: ignore[arg-type]  # each from its own copy


@pytest.mark.usefixtures("table")
def test_celerys_decorators_make_commands() -> None:
    @control_command(args=[("n", int), ("name", str)], signature="[N=1] [name]", alias="more", visible=False)
    def increase(state: Any, n: int = 1, name: str = "x", **others: object) -> object:
        "Do more.\n\nAnd more."
        return {"ok": n}

    @inspect_command
    def current(state: Any, *, limit: int = 3) -> object:
        return {"ok": limit}

    @inspect_command(variadic="ids", default_timeout=5.0)
    def which(state: Any, ids: Any = None, **_: object) -> object:
        return ids

    row = find_command("more")
    assert row is not None
    assert (row.kind, row.args, row.help, row.hidden) == ("control", "[N=1] [name]", "Do more.", True)
    assert [(p.name, p.type, p.required) for p in row.parameters] == [("n", "integer", False), ("name", "text", False)]
    assert asked(FakeState(), "increase", n=2) == {"ok": 2}
    assert asked(FakeState(), "current") == {"ok": 3}
    assert [(p.name, p.type) for p in find_command("current").parameters] == [("limit", "integer")]  # type: ignore[union-attr]
    assert [(p.name, p.type) for p in find_command("which").parameters] == [("ids", "rest")]  # type: ignore[union-attr]
    assert find_command("which").timeout == 5.0  # type: ignore[union-attr]


@pytest.mark.parametrize("row", list_commands("inspect"), ids=lambda row: row.name)
def test_every_inspect_command_is_a_method_of_the_client(row: Any) -> None:
    assert callable(getattr(Inspect, row.name))
    assert all(find_command(alias) is row for alias in row.aliases)


@pytest.mark.parametrize("row", list_commands("control"), ids=lambda row: row.name)
def test_every_control_command_is_a_method_of_the_client(row: Any) -> None:
    assert callable(getattr(Control, row.name))
