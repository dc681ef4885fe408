"""Declaring and calling tasks."""

import functools
from typing import Any

import pytest

from celery_rs import Celery, Task, current_app, current_task, errors
from celery_rs.app.signatures import checker
from celery_rs.context import using_app
from tests.apps import call, drain, make_app
from tests.deadlines import DEADLINE_S


def test_a_task_is_named_after_its_module_and_function() -> None:
    app = make_app()

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    assert add.name == f"{__name__}.add"
    assert app.tasks[add.name] is add
    assert repr(add) == f"<@task: {add.name} of proj>"


def test_the_apps_name_stands_for_main() -> None:
    app = make_app()

    def script() -> None: ...

    script.__module__ = "__main__"

    assert app.task(script).name == "proj.script"


def test_a_task_runs_as_a_plain_function_when_it_is_called() -> None:
    app = make_app()

    @app.task(bind=True)
    def who(self: Any, x: int) -> tuple[int, bool]:
        return x, self.request.called_directly

    assert who(3) == (3, True)


def test_delay_sends_and_the_result_comes_back() -> None:
    app = make_app()

    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    result = add.delay(2, y=3)
    drain(app)

    assert result.get(timeout=DEADLINE_S) == 5
    assert result.name == add.name


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ((), {}, "add() missing 1 required positional argument: 'x'"),
        ((1, 2, 3), {}, "add() takes from 1 to 2 positional arguments but 3 were given"),
        ((1,), {"z": 1}, "add() got an unexpected keyword argument 'z'"),
        ((1,), {"x": 1}, "add() got multiple values for argument 'x'"),
    ],
)
def test_wrong_arguments_are_refused_where_the_call_is_made(args: Any, kwargs: Any, complaint: str) -> None:
    app = make_app()

    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    with pytest.raises(TypeError) as caught:
        add.apply_async(args, kwargs)

    assert str(caught.value) == complaint


def test_checking_can_be_turned_off() -> None:
    app = make_app()

    @app.task(typing=False)
    def add(x: int) -> int:
        return x

    add.apply_async((1, 2))

    assert drain(app)[0].end == "failure"


def everything(a, /, b, c=1, *rest, d, e=2, **more):
    pass


def keyword_only(*, d):
    pass


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (everything, [((1, 2), {"d": 1}), ((1, 2, 3, 4), {"d": 1, "e": 2, "f": 3})], [((1,), {"d": 1}), ((1, 2), {})]),
        (keyword_only, [((), {"d": 1})], [((1,), {"d": 1}), ((), {})]),
    ],
)
def test_the_checker_accepts_what_the_function_would(function: Any, good: Any, bad: Any) -> None:
    check = checker(function, bound=False)
    assert check is not None

    for args, kwargs in good:
        check(*args, **kwargs)
    for args, kwargs in bad:
        with pytest.raises(TypeError):
            check(*args, **kwargs)


@pytest.mark.parametrize("function", [len, functools.partial(keyword_only, d=1), lambda: None])
def test_there_is_no_checker_where_the_parameters_cannot_be_known(function: Any) -> None:
    assert checker(function, bound=False) is None


def test_a_bound_task_is_checked_without_its_first_parameter() -> None:
    app = make_app()

    @app.task(bind=True)
    def bound(self: Any, x: int) -> int:
        return x

    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'x'"):
        bound.apply_async(())
    bound.delay(1)


def test_what_hides_its_parameters_is_not_checked() -> None:
    app = make_app()

    def add(x: int) -> int:
        return x

    task = app.task(name="proj.partial")(functools.update_wrapper(functools.partial(add, 1), add))

    task.apply_async((1, 2, 3))


def test_a_name_twice_keeps_the_first_and_warns() -> None:
    app = make_app()

    @app.task(name="proj.twin")
    def first() -> int:
        return 1

    with pytest.warns(UserWarning, match=r"task 'proj\.twin' is declared twice"):

        @app.task(name="proj.twin")
        def second() -> int:
            return 2

    assert second is first


def test_what_came_from_the_settings_follows_them_and_what_was_said_stays() -> None:
    app = make_app(task_acks_late=False, task_default_rate_limit="1/m")

    @app.task(rate_limit="9/m")
    def one() -> None: ...

    assert (one.acks_late, one.rate_limit) == (False, "9/m")
    app.conf.update(task_acks_late=True, task_default_rate_limit="2/m")

    assert app.tasks[one.name] is one
    assert (one.acks_late, one.rate_limit) == (True, "9/m")


def test_options_come_from_the_decorator_then_the_class_then_the_settings() -> None:
    app = make_app(task_acks_late=True, task_default_rate_limit="5/m", task_default_priority=4)

    class Base(Task):
        rate_limit = "7/m"

    @app.task(base=Base)
    def one() -> None: ...

    @app.task(base=Base, rate_limit="9/m", acks_late=False)
    def two() -> None: ...

    bound = app.tasks
    assert (bound[one.name].rate_limit, bound[one.name].acks_late, bound[one.name].priority) == ("7/m", True, 4)
    assert (bound[two.name].rate_limit, bound[two.name].acks_late) == ("9/m", False)


def test_a_setting_that_changes_reaches_the_tasks_but_not_their_own_options() -> None:
    app = make_app()

    @app.task
    def one() -> None: ...

    assert app.tasks[one.name].rate_limit is None
    app.conf.task_default_rate_limit = "1/s"
    assert app.tasks[one.name].rate_limit == "1/s"
    one.rate_limit = "2/s"
    app.conf.task_default_rate_limit = "3/s"
    assert app.tasks[one.name].rate_limit == "2/s"


class Annotated:
    """What users may write instead of a dict."""

    def annotate(self, task: Any) -> dict[str, Any] | None:
        return {"max_retries": 7} if task.name == "proj.two" else None

    def annotate_any(self) -> dict[str, Any]:
        return {"priority": 5}


@pytest.mark.parametrize("given", [Annotated(), Annotated, f"{__name__}.Annotated", f"{__name__}:Annotated"])
def test_of_several_annotations_the_first_for_the_task_and_the_first_for_all_count(given: Any) -> None:
    annotations = [{"proj.one": {"max_retries": 9}}, given, {"*": {"priority": 6}, "proj.two": {"max_retries": 8}}]
    app = make_app(task_annotations=annotations)

    @app.task(name="proj.one")
    def one() -> None: ...

    @app.task(name="proj.two")
    def two() -> None: ...

    assert [(task.max_retries, task.priority) for task in (one, two)] == [(9, 5), (7, 5)]


def test_an_annotation_that_leads_nowhere_is_one_line() -> None:
    app = make_app(task_annotations="no.such.Class")

    @app.task
    def one() -> None: ...

    with pytest.raises(errors.ImproperlyConfigured, match=r"task_annotations: there is no module 'no'"):
        _ = one.max_retries


def test_annotations_change_tasks_by_name_and_the_star_wins() -> None:
    app = make_app(task_annotations={"proj.one": {"rate_limit": "1/s", "max_retries": 9}, "*": {"rate_limit": "2/s"}})

    @app.task(name="proj.one")
    def one() -> None: ...

    assert (app.tasks["proj.one"].rate_limit, app.tasks["proj.one"].max_retries) == ("2/s", 9)
    assert one.max_retries == 9


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"rate_limit": "10/y"}, "task 'proj.bad': rate_limit must be a rate such as '10/m'"),
        ({"time_limit": "long"}, "task 'proj.bad': time_limit must be a number, got 'long'"),
        ({"soft_time_limit": 9, "time_limit": 5}, "task 'proj.bad': soft_time_limit must not be above time_limit"),
        ({"time_limit": -1}, "task 'proj.bad': time_limit must be seconds, not below 0, got -1"),
        ({"soft_time_limit": float("nan")}, "task 'proj.bad': soft_time_limit must be a number, got nan"),
        ({"default_retry_delay": float("inf")}, "task 'proj.bad': default_retry_delay must be a number, got inf"),
        ({"retry_backoff": -1}, "task 'proj.bad': retry_backoff must be seconds, not below 0, got -1"),
        ({"retry_backoff_max": "x"}, "task 'proj.bad': retry_backoff_max must be a number, got 'x'"),
        ({"retry_kwargs": 5}, "task 'proj.bad': retry_kwargs must be a dict, got 5"),
        ({"base": int}, "@app.task expects a subclass of Task as base, got <class 'int'>"),
        ({"autoretry_for": [3]}, "task 'proj.bad': autoretry_for: an exception class was expected, got 3"),
    ],
)
def test_options_that_make_no_sense_are_refused_where_they_are_set(options: Any, complaint: str) -> None:
    app = make_app()

    with pytest.raises(errors.ImproperlyConfigured) as caught:

        @app.task(name="proj.bad", **options)
        def bad() -> None: ...

    assert str(caught.value).startswith(complaint)


def test_what_cannot_be_named_is_no_task() -> None:
    app = make_app()

    with pytest.raises(
        errors.ImproperlyConfigured, match=r"expects a function with a name, got functools.partial.*wrap"
    ):
        app.task(functools.partial(print))
    with pytest.raises(errors.ImproperlyConfigured, match="expects a string as name, got 5"):
        app.task(name=5)(print)


def test_an_option_that_is_nearly_one_of_ours_is_a_warning() -> None:
    app = make_app()

    with pytest.warns(
        UserWarning, match=r"task 'proj.t' has an option 'rate_limt'; did you mean 'rate_limit'\?"
    ) as seen:

        @app.task(name="proj.t", rate_limt="1/s", owner="the user's own")
        def t() -> None: ...

    assert [warning.filename for warning in seen] == [__file__]
    assert getattr(t, "owner", None) == "the user's own"


def test_what_is_not_there_yet_is_refused_by_name() -> None:
    app = make_app()

    async def later() -> None: ...

    with pytest.raises(errors.NotSupported, match="the async task 'test_what_is_not_there_yet"):
        app.task(later)


def test_a_class_with_run_is_a_task() -> None:
    app = make_app()

    class Adder(Task):
        name = "proj.adder"

        def run(self, x: int, y: int) -> int:
            return x + y

    adder = app.register_task(Adder)

    assert adder(1, 2) == 3
    assert call(app, adder, (1, 2)).text == "3"
    with pytest.raises(TypeError):
        adder.delay(1)


def test_a_call_of_its_own_wraps_the_run() -> None:
    app = make_app()
    calls = []

    class Wrapped(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(self.request.id)
            return super().__call__(*args, **kwargs)

    @app.task(base=Wrapped, bind=True)
    def wrapped(self: Any) -> Any:
        return self.request.id

    outcome = call(app, wrapped, task_id="my-id")

    assert (calls, outcome.text) == (["my-id"], "'my-id'")


def test_a_task_that_calls_itself_as_a_function_gets_a_request_of_its_own() -> None:
    app = make_app()

    @app.task(bind=True)
    def down(self: Any, n: int) -> list[Any]:
        return [self.request.id, *(down(n - 1) if n else [])]

    assert call(app, down, (2,), task_id="top").text == "['top', None, None]"


def test_the_current_app_and_task_follow_the_context() -> None:
    app = make_app()

    @app.task
    def who() -> str:
        return f"{current_task.name} {current_app.main}"

    with using_app(app):
        assert call(app, who).text == f"'{who.name} proj'"
        assert not current_task


def test_retry_outside_a_worker_raises_the_error() -> None:
    app = make_app()

    @app.task(bind=True)
    def fail(self: Any) -> None:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise self.retry(exc=error) from None

    with pytest.raises(KeyError):
        fail()


def test_update_state_outside_a_worker_writes_to_the_store() -> None:
    app = make_app()

    @app.task
    def task() -> None: ...

    task.update_state(task_id="abc", state="PROGRESS", meta={"done": 1})

    assert (app.AsyncResult("abc").state, app.AsyncResult("abc").info) == ("PROGRESS", {"done": 1})
    with pytest.raises(ValueError, match="update_state needs a state"):
        task.update_state(state="PROGRESS")
    with pytest.raises(ValueError, match="texts that can be stored"):
        task.update_state(task_id="abc", state="\udc80")


def test_a_task_of_no_app_says_so() -> None:
    class Lonely(Task):
        name = "lonely"

    with pytest.raises(errors.ImproperlyConfigured, match="task 'lonely' belongs to no app"):
        Lonely().delay()


def test_nothing_is_read_or_connected_by_declaring() -> None:
    app = Celery("proj", broker="nowhere://", set_as_current=False, config_source="no.such.module")

    @app.task
    def add() -> None: ...

    with pytest.raises(errors.ImproperlyConfigured, match=r"no\.such\.module"):
        add.delay()
