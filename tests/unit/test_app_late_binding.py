"""When a task is bound: at its first use, which finalizes its app."""

import threading
from typing import Any

import pytest

from celery_rs import Celery, Task, errors
from tests.apps import call, make_app


def test_declaring_reads_no_settings() -> None:
    app = make_app()
    app.config_from_object("no.such.module")

    @app.task
    def add(x: int) -> int:
        return x

    assert not app.configured
    assert not app.finalized


def test_the_first_look_at_a_task_finalizes_its_app() -> None:
    app = make_app()

    @app.task
    def add(x: int) -> int:
        return x

    app.config_from_object({"task_default_rate_limit": "3/m"})

    assert add.rate_limit == "3/m"
    assert app.finalized
    assert app.configured


@pytest.mark.parametrize(
    "use",
    [lambda task: task(1), repr, lambda task: task.delay(1), lambda task: task.name, lambda task: task.owner],
    ids=["call", "repr", "delay", "name", "an attribute of the user's own"],
)
def test_every_use_finalizes(use: Any) -> None:
    app = make_app()
    task = app.task(name="proj.t", owner="me")(lambda x: x)

    use(task)

    assert app.finalized


def test_setting_an_attribute_is_a_use_and_outlives_the_settings() -> None:
    app = make_app(task_default_rate_limit="1/s")

    @app.task
    def add() -> None: ...

    add.rate_limit = "2/s"

    assert app.tasks[add.name].rate_limit == "2/s"
    del add.rate_limit


def test_asking_for_the_class_of_a_task_is_no_use() -> None:
    app = make_app()

    class Base(Task):
        pass

    task = app.task(base=Base, name="proj.t")(print)

    assert isinstance(task, Base)
    assert task != 1
    assert task in {task}
    assert not app.finalized


def test_annotations_hold_from_the_first_look() -> None:
    app = make_app(task_annotations={"proj.t": {"max_retries": 9}})

    @app.task(name="proj.t")
    def t() -> None: ...

    assert t.max_retries == 9


def test_a_call_of_its_own_runs_at_the_first_call() -> None:
    app = make_app()

    class Loud(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return f"{super().__call__(*args, **kwargs)}!"

    @app.task(base=Loud)
    def say(x: str) -> str:
        return x

    assert say("hi") == "hi!"


def test_tasks_finalize_once_and_say_so() -> None:
    app = make_app()
    heard = []

    def note(sender: Any, **_: Any) -> None:
        heard.append(sender)

    app.on_after_finalize.connect(note)

    assert "celery.backend_cleanup" in app.tasks
    app.finalize()

    assert heard == [app]


def test_a_task_declared_after_that_works_at_once() -> None:
    app = make_app(task_default_rate_limit="1/s")
    app.finalize()

    @app.task
    def late(x: int) -> int:
        return x

    assert late.rate_limit == "1/s"
    assert call(app, late, (1,)).text == "1"


def test_without_autofinalize_a_first_use_is_an_error() -> None:
    app = Celery("proj", broker="memory://", set_as_current=False, autofinalize=False)

    @app.task
    def add(x: int) -> int:
        return x

    for use in (lambda: add.name, lambda: add.delay(1), lambda: app.tasks, lambda: add(1)):
        with pytest.raises(errors.NotFinalized, match=r"call its finalize\(\) before its tasks are used"):
            use()
    with pytest.raises(RuntimeError):
        app.task(lazy=False)(print)
    app.send_task("elsewhere.t")

    app.finalize()

    assert add(1) == 1


def test_a_task_that_is_not_lazy_is_bound_where_it_is_declared() -> None:
    app = make_app(task_default_rate_limit="1/s")

    task = app.task(lazy=False, name="proj.t")(print)

    assert type(task).__name__ == "print"
    assert app.configured
    assert not app.finalized


def test_settings_that_are_wrong_leave_the_task_asleep() -> None:
    app = make_app()

    @app.task(name="proj.t")
    def t() -> None: ...

    app.config_from_object({"task_annotations": {"proj.t": {"rate_limit": "1/year"}}})

    for _ in range(2):
        with pytest.raises(errors.ImproperlyConfigured, match=r"proj\.t"):
            _ = t.name
    assert not app.finalized


def test_two_threads_may_use_a_task_first() -> None:
    app = make_app()
    tasks = [app.task(name=f"proj.t{i}")(print) for i in range(50)]
    start = threading.Barrier(4)
    names: list[Any] = []

    def look() -> None:
        start.wait()
        names.append([task.name for task in tasks])

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names == [[f"proj.t{i}" for i in range(50)]] * 4


def test_a_class_with_slots_of_its_own_is_a_task_too() -> None:
    app = make_app(task_default_rate_limit="1/s")

    class Slotted(Task):
        __slots__ = ("extra",)

    task = app.task(base=Slotted, name="proj.t")(print)

    assert app.tasks["proj.t"] is task
    assert task.rate_limit == "1/s"


def test_strict_typing_off_leaves_arguments_unchecked_unless_a_task_says_otherwise() -> None:
    app = Celery("proj", broker="memory://typing", set_as_current=False, strict_typing=False)

    @app.task
    def loose(x: int) -> int:
        return x

    @app.task(typing=True)
    def strict(x: int) -> int:
        return x

    loose.apply_async((1, 2, 3))
    with pytest.raises(TypeError, match="strict"):
        strict.apply_async((1, 2, 3))


def test_a_filter_gets_the_task_and_returns_what_the_name_stands_for() -> None:
    app = make_app()

    task: Any = app.task(name="proj.t", filter=lambda task: [task])(print)

    assert [each.name for each in task] == ["proj.t"]
    assert "proj.t" in app.tasks


def test_a_registered_class_replaces_another_with_a_warning() -> None:
    app = make_app()

    class First(Task):
        name = "proj.t"

    class Second(Task):
        name = "proj.t"

    first = app.register_task(First())
    with pytest.warns(errors.DuplicateTaskNameWarning, match=r"'proj\.t' is declared twice; the last one is kept"):
        second = app.register_task(Second)

    assert app.register_task(second) is second
    assert app.tasks["proj.t"] is second is not first


def test_a_name_is_warned_of_once_and_the_same_function_never() -> None:
    app = make_app()

    def t() -> None: ...

    task = app.task(name="proj.t")(t)
    assert app.task(name="proj.t")(t) is task
    with pytest.warns(errors.DuplicateTaskNameWarning) as seen:
        twins = [app.task(name="proj.t")(print), app.task(name="proj.t")(repr)]

    assert twins == [task, task]
    assert [(len(seen), warning.filename) for warning in seen] == [(1, __file__)]


def test_a_task_unregistered_is_gone_and_one_registered_is_bound() -> None:
    app = make_app(task_default_rate_limit="1/s")

    class Other(Task):
        name = "proj.other"

    app.tasks.register(Other)
    assert app.tasks["proj.other"].rate_limit == "1/s"

    app.tasks.unregister("proj.other")
    assert "proj.other" not in app.tasks


def test_the_class_of_tasks_may_be_a_path_and_belongs_to_the_app() -> None:
    app = Celery("proj", task_cls=f"{__name__}:Marked", set_as_current=False)

    task = app.task(name="proj.t")(print)

    assert isinstance(task, Marked)
    assert app.Task is app.Task
    assert app.Task()._app is app


class Marked(Task):
    """Found by its path."""


def test_names_can_be_given_by_a_subclass() -> None:
    class Mine(Celery):
        def gen_task_name(self, name: str, module: str) -> str:
            return f"mine.{name}"

    app = Mine("proj", broker="memory://", set_as_current=False)

    assert app.task(print).name == "mine.print"


def test_expired_results_are_dropped_by_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    cleaned = []
    monkeypatch.setattr(type(app.backend), "cleanup", lambda backend: cleaned.append(backend))

    app.set_current()
    call(app, app.tasks["celery.backend_cleanup"])

    assert cleaned == [app.backend]
