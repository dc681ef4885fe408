"""Calls that are written down."""

import copy
import json
import pickle
from typing import Any

import pytest

from celery_rs import Celery, Task, errors
from celery_rs.canvas import Signature, maybe_signature, signature
from tests.apps import drain, make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.fixture
def add(app: Celery) -> Task[..., int]:
    @app.task(name="proj.add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def test_a_signature_is_celerys_dict(add: Any) -> None:
    sig = add.s(2, y=3).set(countdown=10)

    assert sig == {
        "task": "proj.add",
        "args": (2,),
        "kwargs": {"y": 3},
        "options": {"countdown": 10},
        "subtask_type": None,
        "immutable": False,
    }
    assert list(sig) == ["task", "args", "kwargs", "options", "subtask_type", "immutable"]
    assert (sig.task, sig.name, sig.args, sig.kwargs, sig.options) == ("proj.add",) * 2 + (
        (2,),
        {"y": 3},
        sig["options"],
    )
    assert sig.type is add


@pytest.mark.parametrize("make", ["signature", "subtask"])
def test_options_may_be_given_with_the_arguments(add: Any, make: str) -> None:
    sig = getattr(add, make)((1,), {"y": 2}, queue="low", immutable=True)

    assert (sig.args, sig.kwargs, sig.options, sig.immutable) == ((1,), {"y": 2}, {"queue": "low"}, True)


def test_a_signature_reads_as_a_call(add: Any) -> None:
    assert repr(add.s(2, y=3)) == str(add.s(2, y=3)) == "proj.add(2, y=3)"
    assert add.s(2).reprcall(1) == "proj.add(1, 2)"


def test_calling_it_runs_the_task_here(add: Any) -> None:
    assert add.s(2)(3) == 5
    assert add.si(2, 1)(9) == 3


def test_later_arguments_come_first_and_later_options_win(app: Celery, add: Any) -> None:
    @app.task(name="proj.show")
    def show(*args: Any, **kwargs: Any) -> Any:
        return [args, kwargs]

    sig = show.s(3, a=1).set(task_id="old", queue="low")

    result = sig.apply_async((1, 2), {"a": 2, "b": 3}, task_id="new", queue=None)

    (outcome,) = drain(app, "low")
    assert result.id == "new"
    assert outcome.text == "[(1, 2, 3), {'a': 2, 'b': 3}]"


def test_an_immutable_one_takes_no_arguments(app: Celery, add: Any) -> None:
    add.si(2, 3).apply_async((1,), {"z": 1})

    assert [outcome.text for outcome in drain(app)] == ["5"]


def test_delay_and_apply_make_the_call(app: Celery, add: Any) -> None:
    result = add.s(2).delay(3)
    drain(app)

    assert result.get(timeout=DEADLINE_S) == 5
    assert add.s(2).apply((3,)).get() == 5


def test_the_tilde_sends_and_waits() -> None:
    app = make_app(task_always_eager=True)

    @app.task
    def one() -> int:
        return 1

    assert ~one.s() == 1


def test_arguments_are_checked_where_the_call_is_made(add: Any) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        add.s().delay()
    with pytest.raises(TypeError, match="unknown option 'countdwn' in a call"):
        add.s(1).set(countdwn=3).delay()


def test_a_task_by_name_need_not_be_known(app: Celery) -> None:
    sig = signature("other.task", (1,), {"k": 2}, {"queue": "q"}, countdown=3, app=app)

    result = sig.delay()

    assert sig.options == {"queue": "q", "countdown": 3}
    assert (result.name, result.app) == ("other.task", app)
    with pytest.raises(KeyError):
        _ = sig.type


def test_freezing_gives_an_id_once(app: Celery, add: Any) -> None:
    sig = add.s(1)

    first, second = sig.freeze(), sig.freeze()

    assert first == second == sig.id == sig.apply_async()
    assert (sig.parent_id, sig.root_id) == (None, None)
    assert add.s(1).freeze("mine", root_id="r", parent_id="p").id == "mine"


def test_a_clone_has_more_and_leaves_the_first_alone(add: Any) -> None:
    first = add.s(2).set(queue="low", headers={"a": [1]})

    more = first.clone((1,), {"y": 3}, countdown=4)
    more.options["headers"]["a"].append(2)

    assert (more.args, more.kwargs, more.options["countdown"]) == ((1, 2), {"y": 3}, 4)
    assert (first.args, first.kwargs) == ((2,), {})
    assert first.options == {"queue": "low", "headers": {"a": [1]}}
    assert first.partial((0,)).args == (0, 2)


def test_replacing_changes_whole_parts(add: Any) -> None:
    sig = add.s(2, y=1).set(queue="low")

    assert sig.replace(args=(9,)) == add.s(9, y=1).set(queue="low")
    assert sig.replace(kwargs={}, options={}) == add.s(2)
    assert sig.set(immutable=True).immutable


def test_group_and_stamps_are_not_overridden(add: Any) -> None:
    sig = add.s(1).set(group_id="g", stamped_headers=["s"], s=1)

    more = sig.clone(group_id="other", stamped_headers=["x"], s=2, queue="q")

    assert more.options == {"group_id": "g", "stamped_headers": ["s"], "s": 1, "queue": "q"}


def test_links_are_kept_once_and_returned(add: Any) -> None:
    sig = add.s(1)
    callback, errback = add.s(2), add.s(3)

    assert sig.link(callback) is callback
    assert sig.link(add.s(2)) == callback
    assert sig.on_error(errback) is sig

    assert sig.options == {"link": [callback], "link_error": [errback]}


def test_links_are_flattened_from_json_as_well(add: Any) -> None:
    last, middle, first = add.s(3), add.s(2), add.s(1)
    middle.link(last)
    first.link(middle)

    read = maybe_signature(json.loads(json.dumps(first)))

    assert read is not None
    assert first.flatten_links() == [first, middle, last]
    assert [sig.args for sig in read.flatten_links()] == [(1,), (2,), (3,)]


@pytest.mark.parametrize("linked", [3, "proj.add"])
def test_only_a_signature_can_be_linked(add: Any, linked: Any) -> None:
    with pytest.raises(TypeError, match="link must be a signature such as"):
        add.s(1).link(linked)


def test_it_travels_as_json_and_as_a_pickle(app: Celery, add: Any) -> None:
    app.set_current()
    sig = add.s(1).set(queue="q")
    sig.link(add.s(2))

    read = signature(json.loads(json.dumps(sig)), app=app)
    unpickled = pickle.loads(pickle.dumps(sig))

    assert (read.args, read.options["queue"], read.type) == ((1,), "q", add)
    assert unpickled == sig
    assert isinstance(unpickled, Signature)


def test_copies_are_signatures_of_the_same_app(app: Celery, add: Any) -> None:
    sig = add.s([1])

    deep = copy.deepcopy(sig)
    deep.args[0].append(2)

    assert (sig.args, deep.args, deep.app) == (([1],), ([1, 2],), app)
    assert isinstance(deep, Signature)


def test_signature_of_a_signature_is_a_copy(add: Any) -> None:
    sig = add.s(1)

    assert signature(sig) == sig
    assert signature(sig) is not sig
    assert maybe_signature(sig) is sig
    assert maybe_signature(None) is None
    assert maybe_signature(sig, clone=True) is not sig


def test_what_is_no_signature_is_refused() -> None:
    with pytest.raises(TypeError, match="a signature needs a task or its name, got 3"):
        Signature(3)
    with pytest.raises(TypeError, match=r"a signature is a dict with a 'task', got \{'args': 1\}"):
        signature({"args": 1})


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda sig: sig | sig, r"a chain \(`\|`\)"),
        (lambda sig: {} | sig, r"a chain \(`\|`\)"),
        (lambda sig: sig.stamp(a=1), "stamping a signature"),
        (lambda sig: sig.stamp_links(a=1), "stamping a signature"),
        (lambda sig: sig.election(), "an election among workers"),
        (lambda sig: sig.freeze(chord={}), "a chord"),
        (lambda sig: sig.apply_async(route_name="t"), "route_name"),
        (lambda sig: signature({"task": "celery.chain", "subtask_type": "chain"}), "the workflow 'chain'"),
        (lambda sig: sig.type.map([1]), "task.map"),
        (lambda sig: sig.type.starmap([1]), "task.starmap"),
        (lambda sig: sig.type.chunks([1], 1), "task.chunks"),
        (lambda sig: sig.type.add_to_chord(sig), "task.add_to_chord"),
        (lambda sig: sig.type.start_strategy(None, None), "a task's own strategy"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_name(add: Any, use: Any, what: str) -> None:
    with pytest.raises(errors.NotSupported, match=f"^{what} is not supported here; "):
        use(add.s(1))


def test_types_of_ones_own_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signature, "TYPES", {})

    @Signature.register_type("mine")
    class Mine(Signature[Any]):
        @classmethod
        def from_dict(cls, given: Any, app: Any = None) -> Signature[Any]:
            return cls(given, app=app)

    assert isinstance(signature({"task": "t", "subtask_type": "mine"}), Mine)
