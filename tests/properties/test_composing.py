"""Calls as messages: the core against its oracle, and many against one by one."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs import Celery
from celery_rs._core import Envelope, NotJson, messages_like, pack_pushes, seal_envelopes
from celery_rs.serializers import JSON, TAGS
from celery_rs.wire import Message, preview
from tests.apps import make_app
from tests.messages import message

EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=80)
    | st.text(alphabet="'\\é\ud800", max_size=70)
    | st.datetimes()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)
arguments = st.tuples(
    st.lists(values, max_size=10).map(tuple) | st.lists(values, max_size=3),
    st.dictionaries(st.text(max_size=5), values, max_size=2),
)


@given(st.lists(arguments, max_size=4))
def test_messages_are_what_python_makes_of_the_calls(calls: list[tuple[Any, Any]]) -> None:
    like = message(argsrepr="", kwargsrepr="")

    made = messages_like(like, calls, EMBED, TAGS.replace, preview)

    assert [type(one) for one in made] == [Message] * len(calls)
    for one, (args, kwargs) in zip(made, calls, strict=True):
        assert one.body == JSON.dumps((args, kwargs, json.loads(EMBED)))
        assert (one.argsrepr, one.kwargsrepr) == (preview(args), preview(kwargs))
        assert one.root_id == one.id
        assert one == like._replace(
            id=one.id, root_id=one.id, body=one.body, delivery_tag=one.delivery_tag,
            argsrepr=one.argsrepr, kwargsrepr=one.kwargsrepr,
        )  # fmt: skip
    drawn = [text for one in made for text in (one.id, one.delivery_tag)]
    assert len(set(drawn)) == len(drawn)
    assert all(str(UUID(text)) == text and UUID(text).version == 4 for text in drawn)


def test_what_a_message_says_itself_is_kept() -> None:
    like = message(root_id="root", argsrepr="shown", kwargsrepr="too")

    first, second = messages_like(
        like, [((1,), {}), ((2,), {})], "", TAGS.replace, preview, ids=["mine", None], bodies=[b"one", b"two"]
    )

    assert (first.id, first.root_id, first.argsrepr, first.kwargsrepr) == ("mine", "root", "shown", "too")
    assert (first.body, second.body) == (b"one", b"two")
    assert UUID(second.id).version == 4


def test_a_value_that_json_lacks_is_refused() -> None:
    with pytest.raises(NotJson):
        messages_like(message(), [((object(),), {})], EMBED, TAGS.replace, preview)


@pytest.mark.parametrize(
    ("like", "given", "error"),
    [
        (("a",), {}, TypeError),
        (message(), {"ids": []}, ValueError),
        (message(), {"bodies": [b"", b""]}, ValueError),
    ],
)
def test_what_does_not_fit_together_is_refused(like: Any, given: Mapping[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        messages_like(like, [((), {})], EMBED, TAGS.replace, preview, **given)


@given(st.lists(st.sampled_from([b"one", b"two", b"three"]), max_size=6))
def test_pushes_to_one_list_in_a_row_are_one_command(lists: list[bytes]) -> None:
    messages = [message(str(number)) for number in range(len(lists))]
    routes = [("", "q")] * len(lists)
    envelopes = seal_envelopes(messages, routes)
    rows: list[list[bytes]] = []
    for name, envelope in zip(lists, envelopes, strict=True):
        if not rows or rows[-1][1] != name:
            rows.append([b"LPUSH", name])
        rows[-1].append(envelope)
    commands = [[b"MULTI"], *rows, [b"EXEC"]] if len(rows) > 1 else rows

    assert pack_pushes(messages, routes, lists) == (b"".join(map(_packed, commands)), len(commands))


def _packed(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _app(router: bool) -> Celery:
    app = make_app(
        task_routes=(lambda name, *_, **__: {"queue": "celery"} if name == "proj.add" else None) if router else {},
        task_queue_max_priority=9,
    )

    @app.task(name="proj.add")
    def add(*args: Any, **kwargs: Any) -> None: ...

    @app.task(name="proj.late", ignore_result=True, serializer="pickle", compression="gzip", expires=60, priority=4)
    def late(*args: Any, **kwargs: Any) -> None: ...

    return app


options = st.fixed_dictionaries(
    {},
    optional={
        "task_id": st.uuids().map(str),
        "countdown": st.sampled_from([30, 30.5]),
        "expires": st.sampled_from([60, 60.0, None]),
        "priority": st.integers(0, 9),
        "serializer": st.sampled_from(["json", "pickle"]),
        "compression": st.sampled_from(["gzip", "bzip2"]),
        "headers": st.sampled_from([{"a": 1}, {"a": True}, {"a": 1.0}]),
        "ignore_result": st.booleans(),
        "time_limit": st.sampled_from([1, 1.0]),
        "shadow": st.sampled_from(["one", "two"]),
        "argsrepr": st.just("hidden"),
        "root_id": st.just("root"),
        "link": st.just({"task": "proj.add", "args": [], "kwargs": {}}),
    },
)
calls = st.lists(st.tuples(st.sampled_from(["proj.add", "proj.late", "proj.unknown"]), arguments, options), max_size=6)


@pytest.mark.parametrize("router", [False, True])
@given(calls)
def test_many_are_what_one_by_one_are(router: bool, calls: list[tuple[str, tuple[Any, Any], dict[str, Any]]]) -> None:
    app = _app(router)
    for name, (args, kwargs), said in calls:
        app.signature(name, args, kwargs, said).apply_async()
    one_by_one = _sent(app)

    results = app.publish_many([(name, args, kwargs, said) for name, (args, kwargs), said in calls])

    assert _sent(app) == one_by_one
    assert [result.id for (*_, said), result in zip(calls, results, strict=True) if "task_id" in said] == [
        said["task_id"] for *_, said in calls if "task_id" in said
    ]


def _sent(app: Celery) -> list[Any]:
    """What is in the queue, by its whole content but ids and times; nothing of it is there afterwards."""
    deliveries = app.transport.consume(["celery"]).receive(100, 0).deliveries
    delayed = [late.envelope for late in app.transport.delayed(["celery"], 100)]
    app.transport.purge("celery")
    return [_content(one) for one in [*(delivery.envelope for delivery in deliveries), *delayed]]


def _content(envelope: Any) -> Any:
    assert isinstance(envelope, Envelope)
    headers, properties = json.loads(envelope.headers), json.loads(envelope.properties)
    own = headers.pop("root_id") == headers.pop("id")
    times = [headers.pop(name) is not None for name in ("eta", "expires")]
    for name in ("correlation_id", "delivery_tag", "expiration"):
        properties.pop(name, None)
    return repr((own, times, headers, properties, envelope.body))
