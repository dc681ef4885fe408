"""task_queues in all its forms, and what each queue is bound to: the same as Celery binds it to."""

from types import SimpleNamespace
from typing import Any

import pytest

from celery_rs.app.queues import QueueTable
from celery_rs.config import Settings
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import Route
from celery_rs.wire import Broadcast, Exchange, Queue, binding
from tests.apps import make_app


def bindings(queue: Queue) -> list[tuple[str, str, str]]:
    """What Celery's worker writes into `_kombu.binding.<exchange>`: exchange, type, key."""
    return [(bound.exchange.name, bound.exchange.type, bound.routing_key) for bound in queue.all_bindings]


def table(**settings: Any) -> QueueTable:
    return QueueTable(Settings(settings))


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        ({}, "celery", [("celery", "direct", "celery")]),
        ({}, "new", [("new", "direct", "new")]),
        ({"task_default_queue": "main"}, "main", [("main", "direct", "main")]),
        ({"task_create_missing_queue_exchange_type": "topic"}, "new", [("new", "topic", "new")]),
        (
            {
                "task_default_exchange": "dx",
                "task_default_exchange_type": "topic",
                "task_default_routing_key": "dx.key",
            },
            "celery",
            [("dx", "topic", "dx.key")],
        ),
        # A missing queue's exchange is direct, whatever the default one is.
        ({"task_default_exchange_type": "topic"}, "new", [("new", "direct", "new")]),
        ({"task_queues": [Queue("a")]}, "a", [("celery", "direct", "celery")]),
        ({"task_queues": ["a"]}, "a", [("celery", "direct", "celery")]),
        ({"task_queues": [Queue("a", Exchange("ax"))]}, "a", [("ax", "direct", "celery")]),
        ({"task_queues": [Queue("a", Exchange("ax", "topic"), "a.#")]}, "a", [("ax", "topic", "a.#")]),
        (
            {"task_queues": [Queue("a", bindings=[binding("f", "x"), binding(Exchange("g", "topic"), "y.*")])]},
            "a",
            [("f", "direct", "x"), ("g", "topic", "y.*")],
        ),
        ({"task_queues": {"a": {}}}, "a", [("celery", "direct", "a")]),
        (
            {"task_queues": {"a": {"exchange": "ax", "exchange_type": "topic", "binding_key": "a.#"}}},
            "a",
            [("ax", "topic", "a.#")],
        ),
        ({"task_queues": {"a": {"routing_key": "k"}}, "task_default_queue": "d"}, "a", [("d", "direct", "k")]),
        ({"task_queues": [Broadcast("all")]}, "all", [("all", "fanout", "celery")]),
    ],
)
def test_a_queue_is_bound_to_what_celery_binds_it_to(settings: Any, name: str, expected: Any) -> None:
    assert bindings(table(**settings).find(name)) == expected


def test_a_queue_of_kombus_counts_as_one_of_ours() -> None:
    news = SimpleNamespace(name="news", type="topic", durable=False, auto_delete=True, delivery_mode=1, arguments=None)
    theirs = SimpleNamespace(
        name="q",
        exchange=SimpleNamespace(name="ex", type="direct"),
        routing_key="key",
        bindings=[SimpleNamespace(exchange=news, routing_key="sport.#", arguments=None)],
        queue_arguments={"x-queue-type": "quorum"},
        durable=False,
        expires=60.0,
        alias=None,
        max_priority=None,
    )

    found = table(task_queues=[theirs]).find("q")

    assert found == Queue(
        "q",
        "ex",
        "key",
        bindings=[binding(Exchange("news", "topic", durable=False, auto_delete=True, delivery_mode=1), "sport.#")],
        queue_arguments={"x-queue-type": "quorum"},
        durable=False,
        expires=60.0,
    )


def test_a_dict_may_say_what_a_queue_may_say() -> None:
    found = table(task_queues={"q": {"expires": 60, "max_length": 5, "durable": False}}).find("q")

    assert (found.expires, found.max_length, found.durable) == (60, 5, False)


def test_a_broadcast_is_chosen_and_left_out_by_its_name() -> None:
    queues = table(task_queues=[Queue("a"), Broadcast("all")])

    assert [queue.alias for queue in queues.choose(include=["all"])] == ["all"]
    assert [queue.name for queue in queues.choose(exclude=["all"])] == ["a"]


def test_a_queue_named_twice_is_chosen_once() -> None:
    assert [queue.name for queue in table().choose(include=["a", "b", "a"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("queues", "complaint"),
    [
        ({"q": {"routing-key": "k"}}, "task_queues: unknown option 'routing-key' of queue 'q', expected some of "),
        ({"q": {"durable": "no"}}, "queue 'q': durable must be True or False, got 'no'"),
        ([5], "task_queues must hold queues or their names, got 5"),
        ([SimpleNamespace(name="q", exchange=5)], "exchange must be an Exchange or its name, got 5"),
    ],
)
def test_queues_that_make_no_sense_are_named(queues: Any, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{complaint}"):
        table(task_queues=queues)


# Where calls go


def test_a_broadcast_is_called_by_its_name_through_its_exchange() -> None:
    app = make_app(task_queues=[Queue("celery"), Broadcast("all")])

    assert app.compose("t", (), {}, queue="all").route == Route("all", "celery")


def test_a_call_may_bring_its_own_queue() -> None:
    app = make_app()

    assert app.compose("t", (), {}, queue=Queue("own", "ex", "key")).route == Route("", "own")
    assert app.compose("t", (), {}, queue=Queue("own", Exchange("ex", "topic"), "a.#")).route == Route("ex", "a.#")


def test_who_hears_an_exchange_is_declared_before_a_message_goes_there() -> None:
    news = Exchange("news", "topic")
    app = make_app(
        task_queues=[Queue("celery"), Queue("sport", news, "sport.#"), Queue("both", bindings=[binding(news, "#")])]
    )

    app.send_task("t", exchange="news", routing_key="sport.chess")

    assert {name for name, info in app.transport.queues().items() if info.ready} == {"sport", "both"}


def test_a_named_queue_alone_is_declared_for_its_message() -> None:
    app = make_app(
        task_queues=[Queue("celery"), Queue("a", Exchange("x", "fanout")), Queue("b", Exchange("x", "fanout"))]
    )

    app.send_task("t", queue="a")

    assert {name for name, info in app.transport.queues().items() if info.ready} == {"a"}


# app.amqp


def test_queues_and_routes_go_by_celerys_names_too() -> None:
    app = make_app(task_queues=[Queue("celery"), Broadcast("all")], task_routes={"t": "new"})

    assert app.amqp.queues["celery"] == app.queues()[0]
    assert app.amqp.queues["new"].exchange == Exchange("new")
    assert app.amqp.queues.aliases["all"].exchange == Exchange("all", "fanout")
    assert "celery" in app.amqp.queues
    assert "new" not in app.amqp.queues
    assert list(app.amqp.queues) == [queue.name for queue in app.queues()]
    assert app.amqp.default_queue.name == "celery"
    assert app.amqp.default_exchange == Exchange("celery")
    assert app.amqp.router.route({}, "t")["queue"].name == "new"
    assert app.amqp.router.route({"queue": "q", "priority": 3}, "t") == {"queue": app.amqp.queues["q"], "priority": 3}
    assert app.amqp.router.route({}, "other")["queue"].name == "celery"
    assert app.amqp.routes == {"t": "new"}


def test_queues_are_selected_and_deselected() -> None:
    app = make_app(task_queues=["a", "b", "c"])

    app.amqp.queues.deselect("b")
    assert list(app.amqp.queues.consume_from) == ["a", "c"]
    app.select_queues(["b", "new"])
    assert list(app.amqp.queues.consume_from) == ["b", "new"]
    app.amqp.queues.deselect(["new"])
    assert list(app.amqp.queues.consume_from) == ["b"]
    app.select_queues(None)
    assert list(app.amqp.queues.consume_from) == ["a", "b", "c"]


def test_a_queue_can_be_added_while_the_app_is_used() -> None:
    app = make_app()
    assert app.compose("t", (), {}, queue="news").route == Route("", "news")

    app.amqp.queues.add("news", exchange="media", exchange_type="topic", routing_key="news.#")
    assert app.compose("t", (), {}, queue="news").route == Route("media", "news.#")
    assert [queue.name for queue in app.queues()] == ["celery", "news"]

    app.select_queues("celery")
    app.amqp.queues.select_add(Queue("more"))
    assert [queue.name for queue in app.queues()] == ["celery", "more"]


def test_routes_that_were_changed_in_their_place_are_read_when_told_so() -> None:
    routes = {"t": "before"}
    app = make_app(task_routes=routes)
    assert app.compose("t", (), {}).route == Route("", "before")

    routes["t"] = "after"
    app.amqp.flush_routes()

    assert app.compose("t", (), {}).route == Route("", "after")


def test_what_a_transport_has_no_use_for_is_refused_by_name() -> None:
    app = make_app()

    with pytest.raises(AttributeError, match=r"app\.amqp\.TaskConsumer is not supported here; start a worker"):
        _ = app.amqp.TaskConsumer
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = app.amqp.nothing
