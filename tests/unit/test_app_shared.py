"""Tasks of no app in particular, and tasks of one app in another."""

import pickle
from typing import Any

import pytest

from celery_rs import Celery, shared_task
from celery_rs.app.shared import nothing_shared
from celery_rs.context import using_app
from tests.apps import call, drain, make_app


def test_a_shared_task_is_a_task_of_each_app_that_comes_later() -> None:
    @shared_task
    def add(x: int, y: int) -> int:
        return x + y

    first, second = make_app(), make_app(task_default_rate_limit="1/s")
    name = f"{__name__}.add"

    assert first.tasks[name] is not second.tasks[name]
    assert (first.tasks[name].rate_limit, second.tasks[name].rate_limit) == (None, "1/s")
    assert call(second, second.tasks[name], (1, 2)).text == "3"


def test_it_is_the_task_of_the_app_in_use() -> None:
    @shared_task
    def add(x: int, y: int) -> int:
        return x + y

    first, second = make_app(), make_app()

    for app in (first, second):
        with using_app(app):
            assert add.app is app
            assert add.delay(1, y=2).app is app
            assert len(drain(app)) == 1
    with using_app(first):
        assert add(2, 3) == 5


def test_an_app_that_is_finalized_takes_it_at_once() -> None:
    app = make_app()
    app.finalize()

    @shared_task(name="lib.t")
    def t() -> None: ...

    assert "lib.t" in app.tasks


def test_it_looks_like_its_task() -> None:
    @shared_task(bind=True, max_retries=7)
    def t(self: Any) -> None:
        """Does nothing."""

    app = make_app()

    with using_app(app):
        assert isinstance(t, app.Task)
        assert t == app.tasks[t.name]
        assert t in {t}
        assert (t.max_retries, t.__doc__, t.__module__) == (7, "Does nothing.", __name__)
        assert repr(t) == f"<@task: {__name__}.t of proj>"
        assert "delay" in dir(t)
        t.rate_limit = "1/s"
        assert app.tasks[t.name].rate_limit == "1/s"


def test_twice_on_one_function_is_an_error() -> None:
    @shared_task(name="lib.t")
    def t() -> None: ...

    with using_app(make_app()), pytest.raises(TypeError, match=r"@shared_task is there twice on 'lib\.t'"):
        shared_task(t)
    with pytest.raises(TypeError, match="one function"):
        shared_task(print, print)  # type: ignore[call-overload]  # what the checker says, it says too


def test_a_task_of_one_app_is_shared_with_those_finalized_later() -> None:
    first, second, third = make_app(), make_app(), make_app()
    third.finalize()

    @first.task(name="proj.shared")
    def shared() -> None: ...

    @first.task(name="proj.own", shared=False)
    def own() -> None: ...

    assert first.tasks["proj.shared"] is shared
    assert second.tasks["proj.shared"] is not shared
    assert "proj.own" not in second.tasks
    assert "proj.shared" not in third.tasks


def test_what_an_app_declares_itself_comes_first() -> None:
    first, second = make_app(), make_app()

    @first.task(name="proj.t")
    def one() -> int:
        return 1

    @second.task(name="proj.t")
    def two() -> int:
        return 2

    assert (first.tasks["proj.t"](), second.tasks["proj.t"]()) == (1, 2)


def test_also_when_it_has_taken_the_others_before() -> None:
    first, second = make_app(), make_app()
    first.task(name="proj.t")(lambda: 1)
    assert second.tasks["proj.t"]() == 1

    second.task(name="proj.t")(lambda: 2)

    assert second.tasks["proj.t"]() == 2


def test_the_apps_name_stands_for_main_in_each_app() -> None:
    def script() -> None: ...

    script.__module__ = "__main__"
    task = shared_task(script)
    app = Celery("other", broker="memory://", set_as_current=False)

    with using_app(app):
        assert task.name == "other.script"


def test_a_block_in_which_nothing_is_shared_leaves_no_trace() -> None:
    with nothing_shared():
        shared_task(name="lib.inside")(print)

    assert "lib.inside" not in make_app().tasks


def shipped(x: int) -> int:
    """What a pickle names."""
    return x


def test_a_task_is_pickled_by_its_name() -> None:
    app = make_app()
    task = app.task(shipped)

    with using_app(app):
        assert pickle.loads(pickle.dumps(task)) is task
    assert task.__name__ == "shipped"


def test_an_app_is_pickled_as_what_its_constructor_was_given() -> None:
    app = make_app(task_default_queue="q")
    app.config_from_object({"task_default_priority": 3})

    copy = pickle.loads(pickle.dumps(app))

    assert (copy.main, copy.conf.task_default_queue, copy.conf.task_default_priority) == ("proj", "q", 3)
    assert copy.broker_url == app.broker_url
    assert copy is not app
