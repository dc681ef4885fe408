"""The results of a group: together, in the result store, as tuples and back."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.errors import BackendError, BackendGetMetaError, NotSupported
from celery_rs.result import GroupResult, ResultSet, result_from_tuple
from celery_rs.results import AsyncResult
from celery_rs.serializers import unpack_result
from celery_rs.wire import TaskResult, encode_failure, encode_meta
from tests.apps import make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture
def app() -> Celery:
    return make_app()


def stored(app: Celery, task_id: str, value: object) -> AsyncResult[Any]:
    app.backend.store([TaskResult(task_id, "SUCCESS", 0, encode_meta(task_id, "SUCCESS", value, now=0.0))])
    return app.AsyncResult(task_id)


def group(app: Celery, id: str = "group", *members: str) -> GroupResult:
    return app.GroupResult(id, [app.AsyncResult(member) for member in members])


def test_a_group_is_its_results_under_an_id(app: Celery) -> None:
    results = group(app, "g", "a", "b")

    assert isinstance(results, ResultSet)
    assert (results.id, list(results), results.children, len(results)) == ("g", ["a", "b"], ["a", "b"], 2)
    assert (str(results), repr(results)) == ("g", "<GroupResult: g [a, b]>")
    assert results.app is app


def test_a_group_is_true_when_it_has_an_id_or_members(app: Celery) -> None:
    assert app.GroupResult("g")
    assert app.GroupResult(None, [app.AsyncResult("a")])
    assert not app.GroupResult()


def test_groups_are_equal_by_id_members_and_parent_and_to_their_id(app: Celery) -> None:
    assert group(app, "g", "a") == group(app, "g", "a") == "g"
    assert group(app, "g", "a") != group(app, "g", "b")
    assert group(app, "g", "a") != group(app, "h", "a")
    assert group(app, "g") != app.GroupResult("g", parent=app.AsyncResult("up"))
    assert {group(app, "g", "a")} == {group(app, "g", "a")}


def test_a_group_waits_for_all_of_its_results(app: Celery) -> None:
    stored(app, "a", 1)
    stored(app, "b", 2)
    results = group(app, "g", "a", "b")

    assert (results.get(timeout=DEADLINE_S), results.join(timeout=DEADLINE_S), results.successful()) == (
        [1, 2],
        [1, 2],
        True,
    )
    assert results.completed_count() == 2
    assert {id: told["result"] for id, told in results.iter_native(timeout=DEADLINE_S)} == {"a": 1, "b": 2}


def test_a_group_in_a_group_is_a_list_in_a_list(app: Celery) -> None:
    for id, value in (("a", 1), ("b", 2), ("c", 3)):
        stored(app, id, value)
    results = app.GroupResult("outer", [app.AsyncResult("a"), group(app, "inner", "b", "c")])

    assert results.get(timeout=DEADLINE_S) == [1, [2, 3]]
    assert results.ready()
    assert sorted(id for id, _ in results.iter_native(timeout=DEADLINE_S)) == ["a", "b", "c"]
    assert repr(results) == "<GroupResult: outer [a, inner]>"


def test_a_saved_group_is_restored(app: Celery) -> None:
    results = app.GroupResult("g", [app.AsyncResult("a"), group(app, "inner", "b")], parent=app.AsyncResult("up"))

    results.save()

    found = app.GroupResult.restore("g")
    assert found == results
    assert (found.parent, found.app, found.results[1].children) == ("up", app, ["b"])
    assert GroupResult.restore("g", app=app) == results


def test_what_was_never_saved_or_is_deleted_is_none(app: Celery) -> None:
    results = group(app, "g", "a")
    results.save()

    results.delete()
    results.delete()

    assert app.GroupResult.restore("g") is None
    assert app.GroupResult.restore("never") is None


def test_a_group_is_saved_in_a_store_that_is_named(app: Celery) -> None:
    other = make_app()
    results = group(app, "g", "a")

    results.save(backend=other.backend)

    assert app.GroupResult.restore("g") is None
    assert app.GroupResult.restore("g", backend=other.backend) == results
    results.delete(backend=other.backend)
    assert app.GroupResult.restore("g", backend=other.backend) is None


def test_a_group_is_saved_as_celery_saves_it(app: Celery) -> None:
    group(app, "g", "a", "b").save()

    # fixtures/results/group-saved
    assert app.backend.fetch_group("g") == (b'{"result": [["g", null], [[["a", null], null], [["b", null], null]]]}')


def test_a_group_is_saved_by_the_serializer_and_compression_of_results(app: Celery) -> None:
    app.conf.update(result_serializer="pickle", result_accept_content=["pickle"], result_compression="gzip")
    results = group(app, "g", "a")

    results.save()

    raw = app.backend.fetch_group("g")
    assert raw is not None
    assert raw.startswith(b"\0celery-compressed\0")
    assert pickle.loads(unpack_result(raw)) == {"result": (("g", None), [(("a", None), None)])}
    assert app.GroupResult.restore("g") == results


@pytest.mark.parametrize("raw", [b"nothing", b"[]", b'{"result": 3}', b'{"result": [["g", null], [3]]}'])
def test_a_saved_group_that_cannot_be_read_is_one_line(app: Celery, raw: bytes) -> None:
    app.backend.save_group("g", raw)

    with pytest.raises(BackendGetMetaError, match=r"the group g in memory://.* cannot be read: ") as caught:
        app.GroupResult.restore("g")

    assert "\n" not in str(caught.value)


def test_a_task_that_is_saved_as_a_group_is_none(app: Celery) -> None:
    app.backend.save_group("g", b'{"result": [["a", null], null]}')

    with pytest.raises(BackendGetMetaError, match=r"expected a group in .*, got the task a"):
        app.GroupResult.restore("g")


def test_a_group_without_an_id_cannot_be_saved(app: Celery) -> None:
    with pytest.raises(ValueError, match="a group is saved under its id, got None"):
        app.GroupResult(None, [app.AsyncResult("a")]).save()


def test_a_group_is_described_by_tuples_and_back(app: Celery) -> None:
    results = app.GroupResult("g", [app.AsyncResult("a")], parent=app.AsyncResult("up"))

    assert results.as_tuple() == (("g", (("up", None), None)), [(("a", None), None)])
    assert results.as_list() == ["g", "up"]
    assert result_from_tuple(json.loads(json.dumps(results.as_tuple())), app) == results
    assert result_from_tuple(results) is results


def test_a_pickled_group_is_one_of_the_app_that_reads_it(app: Celery) -> None:
    results = app.GroupResult("g", [app.AsyncResult("a")], parent=app.AsyncResult("up"))

    read = pickle.loads(pickle.dumps(results))

    assert type(read) is GroupResult
    assert read == results


def test_a_group_among_the_children_of_a_task_is_a_group(app: Celery) -> None:
    raw = encode_meta("root", "SUCCESS", 1, now=0.0)
    meta = json.loads(raw) | {"children": [[["a", None], None], [["g", None], [[["b", None], None]]]]}
    app.backend.store([TaskResult("root", "SUCCESS", 0, json.dumps(meta).encode())])
    stored(app, "a", 2)
    stored(app, "b", 3)
    root = app.AsyncResult("root")

    assert root.children == ["a", group(app, "g", "b")]
    assert [(str(node), value) for node, value in root.collect()] == [("root", 1), ("a", 2), ("g", [3]), ("b", 3)]
    assert len(root.graph) == 4


def test_a_failed_group_above_ends_the_waiting(app: Celery) -> None:
    failure = encode_meta("a", "FAILURE", encode_failure(KeyError("k")), now=0.0)
    app.backend.store([TaskResult("a", "FAILURE", 0, failure)])
    result: AsyncResult[Any] = app.AsyncResult("body", parent=group(app, "g", "a"))

    with pytest.raises(KeyError):
        result.get(timeout=DEADLINE_S)
    assert result.as_list() == ["body", "g"]


def test_a_group_is_revoked_by_the_ids_of_its_tasks(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    revoked: list[Any] = []
    monkeypatch.setattr(app.control, "revoke", lambda ids, **_: revoked.extend(ids))

    app.GroupResult("g", [app.AsyncResult("a"), group(app, "inner", "b")]).revoke()

    assert revoked == ["a", "b"]


def test_forgetting_a_group_forgets_its_results(app: Celery) -> None:
    results = app.GroupResult("g", [stored(app, "a", 1)])

    results.forget()

    assert app.AsyncResult("a").state == "PENDING"


def test_then_is_called_with_the_group(app: Celery) -> None:
    results = app.GroupResult("g", [stored(app, "a", 1)])
    told: list[Any] = []

    results[0].get(timeout=DEADLINE_S)
    results.then(told.append)

    assert told == [results]


def test_an_app_keeps_its_class_of_groups(app: Celery) -> None:
    assert app.GroupResult is app.GroupResult
    assert issubclass(app.GroupResult, GroupResult)


def test_results_over_the_broker_cannot_save_groups() -> None:
    app = make_app(result_backend="rpc://")
    results = group(app, "g")
    calls: list[Callable[[], object]] = [results.save, results.delete, lambda: app.GroupResult.restore("g")]

    for call in calls:
        with pytest.raises(NotSupported, match="a saved group over rpc://"):
            call()


def test_saving_is_tried_again_where_the_settings_say_so(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    app.conf.update(result_backend_always_retry=True, result_backend_base_sleep_between_retries_ms=1)
    failures = iter([BackendError("down"), BackendError("down")])
    save, restore = app.backend.save_group, app.backend.fetch_group

    def failing(call: Any) -> Any:
        def fail(*args: Any) -> Any:
            for error in failures:
                raise error
            return call(*args)

        return fail

    monkeypatch.setattr(app.backend, "save_group", failing(save))
    group(app, "g", "a").save()
    failures = iter([BackendError("down")])
    monkeypatch.setattr(app.backend, "fetch_group", failing(restore))

    assert app.GroupResult.restore("g") == "g"
