"""task_routes in all its forms, task_queues, and where a call ends up."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.app.router import RouteMap, Router
from celery_rs.config import Settings
from celery_rs.errors import ImproperlyConfigured, QueueNotFound
from celery_rs.transports import Route
from celery_rs.wire import Exchange, Queue
from tests.apps import make_app
from tests.oracles import routes as oracle


def route_of(task: str, task_routes: Any, **settings: Any) -> Route:
    app = make_app(task_routes=task_routes, **settings)
    return app.compose(task, (), {}).route


def to(queue: str) -> Route:
    return Route("", queue)


def by_first_argument(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> str | None:
    return f"shard-{args[0]}" if args else None


def by_nothing(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> None:
    return None


class OldRouter:
    def route_for_task(self, task: str, args: Any = None, kwargs: Any = None) -> dict[str, str] | None:
        return {"queue": "old"} if task == "proj.old" else None


@pytest.mark.parametrize(
    ("task", "routes", "queue"),
    [
        ("proj.add", None, "celery"),
        ("proj.add", {"proj.add": "math"}, "math"),
        ("proj.add", {"proj.add": {"queue": "math"}}, "math"),
        ("proj.add", {"proj.*": "glob", "proj.add": "exact"}, "exact"),
        ("proj.add", {"proj.*": "first", "*.add": "second"}, "first"),
        ("proj.add", {re.compile(r"proj\.(add|mul)"): "regex"}, "regex"),
        ("PROJ.ADD", {re.compile(r"proj\.add", re.IGNORECASE): "flags"}, "flags"),
        ("proj.add", {re.compile(r"proj\.(?!mul)"): "lookahead"}, "lookahead"),
        ("proj.mul", {re.compile(r"proj\.(?!mul)"): "lookahead", "proj.mul": "exact"}, "exact"),
        ("proj.add", [("proj.*", "pairs"), ("proj.add", "exact")], "exact"),
        ("proj.add", ([("proj.mul", "m"), ("proj.*", {"queue": "inner"})],), "inner"),
        ("proj.add", [{"other": "o"}, {"proj.*": "second"}], "second"),
        ("proj.add", [by_nothing, {"proj.*": "after"}], "after"),
        ("proj.old", [OldRouter(), {"*": "rest"}], "old"),
        ("proj.old", [OldRouter], "old"),
        ("proj.add", "tests.unit.test_router.by_nothing", "celery"),
        ("proj.add", ["tests.unit.test_router:by_nothing", {"*": "rest"}], "rest"),
        ("unknown", {"proj.*": "q"}, "celery"),
    ],
)
def test_a_task_goes_where_its_first_matching_rule_says(task: str, routes: Any, queue: str) -> None:
    assert route_of(task, routes) == to(queue)


def test_a_function_sees_the_arguments_of_each_call_and_keeps_its_place() -> None:
    app = make_app(task_routes=[{"proj.fixed": "fixed"}, by_first_argument, {"*": "rest"}])

    found = [app.compose("proj.add", args, {}).route.routing_key for args in ((1,), (2,), ())]

    assert found == ["shard-1", "shard-2", "rest"]
    assert app.compose("proj.fixed", (1,), {}).route == to("fixed")


def test_options_of_a_call_win_over_the_routes_key_by_key() -> None:
    app = make_app(task_routes={"proj.add": {"queue": "math", "priority": 3, "expires": 60}})

    outgoing = app.compose("proj.add", (), {}, priority=9)

    assert outgoing.route == to("math")
    assert outgoing.message.priority == 9
    assert outgoing.expires is not None
    assert app.compose("proj.add", (), {}, queue="other").route == to("other")


def test_routes_win_over_the_tasks_own_attributes() -> None:
    app = make_app(task_routes={"proj.routed": {"queue": "route"}})

    @app.task(name="proj.routed", queue="task", priority=4)
    def routed() -> None: ...

    @app.task(name="proj.own", queue="task")
    def own() -> None: ...

    assert app.compose("proj.routed", (), {}).route == to("route")
    assert app.compose("proj.routed", (), {}).message.priority == 4
    assert app.compose("proj.own", (), {}).route == to("task")


def test_a_changed_setting_makes_new_routes() -> None:
    app = make_app(task_routes={"proj.add": "before"})
    assert app.compose("proj.add", (), {}).route == to("before")

    app.conf.task_routes = {"proj.add": "after"}

    assert app.compose("proj.add", (), {}).route == to("after")


def test_missing_queues_are_made_or_refused_as_the_setting_says() -> None:
    settings = {"task_queues": [Queue("known")], "task_default_queue": "known"}

    assert make_app(**settings).compose("t", (), {}, queue="new").route == to("new")
    strict = make_app(**settings, task_create_missing_queues=False)
    assert strict.compose("t", (), {}).route == to("known")
    with pytest.raises(QueueNotFound, match="queue 'new' is not in task_queues"):
        strict.compose("t", (), {}, queue="new")


def test_a_queue_on_an_exchange_of_another_type_is_reached_through_it() -> None:
    logs = Queue("logs", Exchange("events", "topic"), "log.#")
    app = make_app(task_queues=[logs, Queue("celery")])

    assert app.compose("t", (), {}, queue="logs").route == Route("events", "log.#")
    assert app.compose("t", (), {}, queue="logs", routing_key="log.warn").route == Route("events", "log.warn")
    assert app.compose("t", (), {}, exchange="x", routing_key="k").route == Route("x", "k")


def test_a_queue_on_a_direct_exchange_is_reached_by_its_name_whatever_the_key() -> None:
    app = make_app(task_queues=[Queue("urgent", Exchange("media"), "media.urgent"), Queue("celery")])

    assert app.compose("t", (), {}, queue="urgent", routing_key="media.urgent").route == to("urgent")
    assert app.compose("t", (), {}, queue="urgent", routing_key="mistyped").route == to("urgent")
    assert app.compose("t", (), {}, exchange="media", routing_key="media.urgent").route == Route(
        "media", "media.urgent"
    )


def test_queues_are_chosen_and_left_out_by_name() -> None:
    app = make_app(task_queues={"a": {}, "b": {"exchange": "bx", "routing_key": "bk"}}, task_queue_max_priority=9)

    assert [queue.name for queue in app.queues()] == ["a", "b"]
    assert [queue.name for queue in app.queues(include=["b", "new"], exclude=["b"])] == ["new"]
    assert app.queues()[1] == Queue("b", Exchange("bx"), "bk", max_priority=9)


def test_the_default_queue_is_the_only_one_where_none_is_named() -> None:
    assert [queue.name for queue in make_app(task_default_queue="main").queues()] == ["main"]


@pytest.mark.parametrize("routes", [[3], [[("a",)]], [object()]])
def test_routers_that_make_no_sense_are_refused(routes: Any) -> None:
    with pytest.raises(ImproperlyConfigured):
        Router(Settings({"task_routes": routes}))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"task_routes": {"*": {"queu": "q"}}}, r"unknown option 'queu' in a route; did you mean 'queue'\?"),
        ({"task_routes": lambda *_, **__: {"queu": "q"}}, "unknown option 'queu' in a route"),
        ({"task_queues": {"q": 5}}, "task_queues must hold names and dicts of options, got 'q': 5"),
        ({"task_queues": {5: {}}}, "task_queues must hold names and dicts of options, got 5: {}"),
    ],
)
def test_routes_and_queues_that_make_no_sense_are_named(settings: Any, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint):
        make_app(**settings).compose("proj.add", (), {})


def test_a_route_written_for_celery_may_describe_its_exchange() -> None:
    route = {"exchange": "video", "exchange_type": "topic", "routing_key": "video.compress"}

    assert route_of("proj.add", {"*": route}) == Route("video", "video.compress")


names = st.text("ab.", min_size=1, max_size=5)
patterns = st.text("ab.*?", min_size=1, max_size=5)
regexes = st.sampled_from([r"a", r"a\.b", r"[ab]+$", r"(?!a)", r"b.*a", r"(?i)A", r""]).map(re.compile)


def expected(pairs: list[tuple[Any, str]], name: str) -> str | None:
    rules = []
    for pattern, _ in pairs:
        if isinstance(pattern, re.Pattern):
            rules.append(("regex", pattern.pattern))
        else:
            rules.append(("glob" if any(sign in pattern for sign in "*?[") else "exact", pattern))
    found = oracle.lookup(rules, name)
    return None if found is None else pairs[found][1]


@given(st.lists(st.tuples(patterns | regexes, st.text("xyz", min_size=1)), max_size=6), names)
def test_rules_match_as_python_matches_them(pairs: list[tuple[Any, str]], name: str) -> None:
    found = RouteMap(pairs).lookup(name)

    assert (found and found["queue"]) == expected(pairs, name)
