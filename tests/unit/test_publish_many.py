"""Many calls in one go: what may be given, what comes back, and what is sent when something is wrong."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from celery_rs import Celery, Task, signature
from celery_rs.context import running
from celery_rs.errors import EncodeError, NotAllPublished, NotSupported, OperationalError
from celery_rs.execution import Request
from celery_rs.results import AsyncResult, EagerResult
from celery_rs.signals import after_task_publish, before_task_publish
from tests.apps import drain, make_app


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.fixture
def add(app: Celery) -> Any:
    @app.task(name="proj.add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def queued(app: Celery, queue: str = "celery") -> list[Any]:
    """The envelopes in a queue."""
    return [delivery.envelope for delivery in app.transport.consume([queue]).receive(10_000, 0).deliveries]


def test_results_come_in_the_order_of_the_calls(app: Celery, add: Any) -> None:
    results = app.publish_many(add.s(n, n) for n in range(2500))

    assert [envelope.id for envelope in queued(app)] == [result.id for result in results]
    assert len({result.id for result in results}) == 2500
    assert {type(result) for result in results} == {AsyncResult}


def test_what_was_published_runs(app: Celery, add: Any) -> None:
    results = app.publish_many([add.s(1, 2), add.s(3, 4)])

    drain(app)

    assert [result.get(timeout=5) for result in results] == [3, 7]
    assert [result.name for result in results] == ["proj.add", "proj.add"]


def test_calls_may_be_written_in_several_ways(app: Celery, add: Any) -> None:
    app.publish_many(
        [
            add.s(1, 2),
            signature("proj.add", (1, 2), app=app),
            dict(add.s(1, 2)),
            (add, (1, 2)),
            ("proj.add", [1], {"y": 2}),
            (add, (1,), {"y": 2}, {"priority": 3}),
            ("proj.unknown",),
        ]
    )

    shown = [(envelope.task, envelope.argsrepr, envelope.kwargsrepr) for envelope in queued(app)]
    assert sorted(shown) == sorted(
        [("proj.add", "(1, 2)", "{}")] * 4 + [("proj.add", "(1,)", "{'y': 2}")] * 2 + [("proj.unknown", "()", "{}")]
    )


def test_a_task_publishes_many_tuples_of_arguments(app: Celery, add: Any) -> None:
    results = add.publish_many([(1, 2), (3,)], priority=5)

    envelopes = queued(app)
    assert [envelope.argsrepr for envelope in envelopes] == ["(1, 2)", "(3,)"]
    assert [envelope.priority for envelope in envelopes] == [5, 5]
    assert [envelope.id for envelope in envelopes] == [result.id for result in results]


def test_options_given_once_hold_for_every_call_and_win(app: Celery, add: Any) -> None:
    app.publish_many([add.s(1, 2).set(priority=1, shadow="mine"), (add, (1, 2))], priority=7, queue="other")

    envelopes = queued(app, "other")
    assert [(envelope.priority, envelope.shadow) for envelope in envelopes] == [(7, "mine"), (7, None)]


def test_nothing_to_publish_is_nothing(app: Celery) -> None:
    assert app.publish_many([]) == []


def test_a_frozen_signature_keeps_its_id(app: Celery, add: Any) -> None:
    signed = add.s(1, 2)
    handle = signed.freeze()

    assert [result.id for result in app.publish_many([add.s(1, 1), signed])][1] == handle.id


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (3, TypeError, r"a call must be a signature or \(task, args, kwargs, options\), got 3"),
        (("proj.add", (), {}, {}, None), TypeError, "a call must be a signature or"),
        (("proj.add", (1, 2, 3)), TypeError, "takes from 1 to 2 positional arguments but 3 were given"),
        (("proj.add", (1, 2), {}, {"countdwon": 1}), TypeError, "did you mean 'countdown'"),
        (("proj.add", (object(),)), EncodeError, r"args\[0\]: object is not JSON"),
        ({"task": "proj.add", "subtask_type": "chain"}, NotSupported, "the workflow 'chain'"),
        (("proj.other", (), {}, {"connection": 1}), NotSupported, "publish_many"),
    ],
)
def test_one_call_that_makes_no_sense_keeps_all_others_back(
    app: Celery, add: Any, call: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        app.publish_many([*(add.s(n, n) for n in range(1500)), call])

    assert queued(app) == []


def test_an_iterable_that_fails_sends_nothing(app: Celery, add: Any) -> None:
    def calls() -> Iterator[Any]:
        yield add.s(1, 2)
        raise LookupError

    with pytest.raises(LookupError):
        app.publish_many(calls())

    assert queued(app) == []


def test_says_what_was_published_when_the_broker_fails(app: Celery, add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = app.transport.publish
    parts: list[int] = []

    def publish(batch: Sequence[Any], **options: Any) -> None:
        parts.append(len(batch))
        if len(parts) == 3:
            raise OperationalError("broker memory:// is full")
        whole(batch, **options)

    monkeypatch.setattr(app.transport, "publish", publish)
    with pytest.raises(NotAllPublished, match="published 2000 calls, and then: broker memory:// is full") as failed:
        app.publish_many((add.s(n, n) for n in range(3500)), retry=False)

    assert parts == [1000, 1000, 1000]
    assert [result.id for result in failed.value.published] == [envelope.id for envelope in queued(app)]
    assert len(failed.value.rest) == 1500
    assert isinstance(failed.value.__cause__, OperationalError)


def test_the_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(NotAllPublished("published 1 calls, and then: no", ["a"], ["b", "c"])))

    assert (str(error), error.published, error.rest) == ("published 1 calls, and then: no", ["a"], ["b", "c"])


def test_a_part_is_tried_again_as_the_policy_says(app: Celery, add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = app.transport.publish
    failures = [OperationalError("away"), OperationalError("away")]

    def publish(batch: Sequence[Any], **options: Any) -> None:
        if failures:
            raise failures.pop()
        whole(batch, **options)

    monkeypatch.setattr(app.transport, "publish", publish)
    app.publish_many([add.s(1, 2)], retry_policy={"interval_start": 0, "interval_step": 0})

    assert len(queued(app)) == 1


def test_signals_are_sent_for_each(app: Celery, add: Any) -> None:
    before, after = [], []

    def sending(sender: str, headers: Mapping[str, Any], body: Any, **_: Any) -> None:
        before.append((sender, headers["id"], list(body[0])))

    def sent(sender: str, headers: Mapping[str, Any], **_: Any) -> None:
        after.append((sender, headers["id"]))

    before_task_publish.connect(sending)
    after_task_publish.connect(sent)
    try:
        results = app.publish_many([add.s(1, 2), add.s(3, 4)])
    finally:
        before_task_publish.disconnect(sending)
        after_task_publish.disconnect(sent)

    ids = [result.id for result in results]
    assert before == [("proj.add", ids[0], [1, 2]), ("proj.add", ids[1], [3, 4])]
    assert after == [("proj.add", each) for each in ids]


def test_calls_from_a_task_are_its_children(app: Celery, add: Any) -> None:
    request = Request(id="parent", root_id="root", task="proj.outer")

    with running(request):
        results = app.publish_many([add.s(1, 2), add.s(3, 4).set(add_to_parent=False)])

    assert [child.id for child in request.children] == [results[0].id]
    assert {(envelope.root_id, envelope.parent_id) for envelope in queued(app)} == {("root", "parent")}


def test_tasks_that_run_where_they_are_called_do_so(add: Any, app: Celery) -> None:
    app.conf.task_always_eager = True

    results = app.publish_many([add.s(1, 2), (add, (3, 4))])

    assert [(type(result), result.get()) for result in results] == [(EagerResult, 3), (EagerResult, 7)]


def test_a_way_of_a_tasks_own_to_be_called_is_kept(app: Celery) -> None:
    class Quiet(Task):
        name = "proj.quiet"

        def run(self, x: int) -> int:
            return x

        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
            return super().apply_async((args[0] + 100,), kwargs, **options)

    quiet = app.register_task(Quiet())

    app.publish_many([(quiet, (1,)), quiet.s(2)], priority=3)

    shown = [(envelope.argsrepr, envelope.priority) for envelope in queued(app)]
    assert shown == [("(101,)", 3), ("(102,)", 3)]


def test_a_shadow_name_of_a_tasks_own_is_asked(app: Celery) -> None:
    @app.task(name="proj.shadowed", shadow_name=lambda task, args, kwargs, options: f"number {args[0]}")
    def shadowed(x: int) -> int:
        return x

    app.publish_many([shadowed.s(1), shadowed.s(2).set(shadow="mine")])

    assert [envelope.shadow for envelope in queued(app)] == ["number 1", "mine"]


def test_results_that_are_ignored_say_so(app: Celery) -> None:
    @app.task(ignore_result=True)
    def silent() -> None: ...

    (result,) = app.publish_many([silent.s()])

    assert result.ignored
