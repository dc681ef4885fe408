"""Tasks whose arguments and results are models."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError, ValidationInfo, field_validator

from celery_rs._core import Envelope
from tests.apps import call, make_app
from tests.deadlines import DEADLINE_S


class Point(BaseModel):
    x: int
    y: int = 0


class Named(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _mark(cls, value: str, info: ValidationInfo) -> str:
        context = info.context or {}
        return f"{value} of {context['celery_task_name']} in {context['celery_app'].main} for {context.get('who')}"


class Wire(BaseModel):
    def __json__(self) -> Any:
        return "my own"


def body_of(app: Any) -> Any:
    """The arguments that were sent."""
    (delivery,) = app.transport.consume(["celery"]).receive(1, 0).deliveries
    assert isinstance(delivery.envelope, Envelope)
    args, kwargs, _ = json.loads(delivery.envelope.body)
    return args, kwargs


def test_an_annotated_argument_becomes_its_model_and_a_returned_model_plain_data() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def move(point: Point, by: int) -> Point:
        assert isinstance(point, Point)
        return Point(x=point.x + by, y=point.y)

    assert call(app, move, ({"x": 1}, 2)).text == "{'x': 3, 'y': 0}"
    assert move({"x": 1}, by=2) == {"x": 3, "y": 0}  # type: ignore[arg-type]  # plain data, as sent


def test_a_bound_task_gets_itself() -> None:
    app = make_app()

    @app.task(bind=True, pydantic=True, name="proj.t")
    def t(self: Any, point: Point) -> str:
        return f"{self.name} {point.x}"

    assert call(app, t, ({"x": 1},)).text == "'proj.t 1'"


def test_none_is_none_where_the_annotation_allows_it() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def t(point: Point | None = None) -> Point | None:
        return point

    assert call(app, t, (None,)).text == "None"
    assert call(app, t, ({"x": 1},)).text == "{'x': 1, 'y': 0}"


def test_a_value_that_is_no_such_model_fails_the_task() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def t(point: Point) -> None: ...

    outcome = call(app, t, ({"x": "no number"},))

    assert outcome.end == "failure"
    assert "1 validation error for Point" in outcome.text
    with pytest.raises(ValidationError):
        t({"x": "no number"})  # type: ignore[arg-type]  # plain data, as sent


def test_strictness_and_context_are_handed_to_pydantic() -> None:
    app = make_app()

    @app.task(pydantic=True, pydantic_strict=True)
    def strict(point: Point) -> None: ...

    @app.task(pydantic=True, pydantic_context={"who": "me"}, name="proj.named")
    def named(named: Named) -> str:
        return named.name

    assert call(app, strict, ({"x": "1"},)).end == "failure"
    assert call(app, named, ({"name": "n"},)).text == "'n of proj.named in proj for me'"


def test_dump_options_are_handed_to_pydantic() -> None:
    app = make_app()

    @app.task(pydantic=True, pydantic_dump_kwargs={"exclude_defaults": True})
    def t(point: Point) -> Point:
        return point

    assert call(app, t, ({"x": 1},)).text == "{'x': 1}"


def test_only_the_model_that_is_annotated_is_dumped() -> None:
    app = make_app()

    class Other(BaseModel):
        z: int = 1

    @app.task(pydantic=True)
    def t() -> Point:
        return Other()  # type: ignore[return-value]  # what is tested

    assert t() == Other()


def test_models_of_the_caller_are_sent_as_plain_data() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def t(point: Point, *rest: Any, other: Point | None = None, **more: Any) -> None: ...

    t.delay(Point(x=1), other=Point(x=2))

    assert body_of(app) == ([{"x": 1, "y": 0}], {"other": {"x": 2, "y": 0}})


def test_a_bound_task_is_sent_its_models_too() -> None:
    app = make_app()

    @app.task(bind=True, pydantic=True)
    def t(self: Any, point: Point) -> None: ...

    t.delay(Point(x=1))

    assert body_of(app) == ([{"x": 1, "y": 0}], {})


def test_a_model_that_would_not_come_back_equal_is_left_as_it_is() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def t(named: Named) -> None: ...

    @app.task(pydantic=True)
    def u(wire: Wire) -> None: ...

    with pytest.raises(Exception, match="is not JSON"):
        t.delay(Named.model_construct(name="n"))
    with pytest.raises(Exception, match="is not JSON"):
        t.apply_async((), {"named": Named.model_construct(name="n")})
    u.delay(Wire())
    assert body_of(app) == (["my own"], {})


def test_arguments_are_checked_where_the_call_is_made() -> None:
    app = make_app()

    @app.task(pydantic=True)
    def t(point: Point) -> None: ...

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'point'"):
        t.apply_async(())
    with pytest.raises(TypeError):
        t.apply_async(Point(x=1))  # type: ignore[arg-type]  # what is tested


def test_annotations_that_cannot_be_read_are_taken_as_they_stand() -> None:
    app = make_app()

    def t(point: Point, other: "Unknown") -> None:  # type: ignore[name-defined]  # noqa: F821
        assert isinstance(point, Point)

    assert call(app, app.task(pydantic=True)(t), ({"x": 1}, 2)).end == "success"


def test_without_pydantic_the_line_to_type_is_told() -> None:
    code = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from celery_rs import Celery, errors\n"
        "app = Celery('proj', broker='memory://')\n"
        "try: app.task(pydantic=True)(print)\n"
        "except errors.ImproperlyConfigured as error: print(error)"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)

    assert run.stdout.strip() == ("pydantic=True needs pydantic, which is not installed; run `pip install pydantic`")


def test_pydantic_is_imported_by_who_asks_for_it() -> None:
    code = "import sys; from celery_rs import Celery; Celery('p').task(print); print('pydantic' in sys.modules)"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)

    assert run.stdout.strip() == "False"
