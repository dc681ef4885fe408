"""Exceptions on the wire."""

import json
import sys
import types
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs import errors
from celery_rs.wire import decode_failure, encode_failure
from tests.recorded import metas


class Outer:
    class InnerError(Exception):
        pass


class PickyError(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(code)
        self.code = code


class NeedyError(Exception):
    def __init__(self, code: int, *, why: str) -> None:
        self.code, self.why = code, why

    def __str__(self) -> str:
        return f"{self.code}: {self.why}"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("name", "kind", "args"),
    [
        ("failure", ValueError, ("boom", 1)),
        ("failure-unregistered", errors.NotRegistered, ("no.such.task",)),
        ("expired", errors.TaskRevokedError, ("expired",)),
        ("rejected", errors.Reject, ("no thanks", False)),
        ("soft-time-limit", errors.SoftTimeLimitExceeded, ()),
        ("time-limit", errors.TimeLimitExceeded, (1,)),
    ],
)
def test_failures_that_celery_stored_are_rebuilt(name: str, kind: type[Exception], args: tuple[Any, ...]) -> None:
    failure = decode_failure(json.loads(metas()[name])["result"])

    assert type(failure) is kind
    assert failure.args == args


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("failure", ValueError("boom", 1)),
        ("failure-unregistered", errors.NotRegistered("no.such.task")),
        ("expired", errors.TaskRevokedError("expired")),
        ("rejected", errors.Reject("no thanks", False)),
        ("soft-time-limit", errors.SoftTimeLimitExceeded()),
        ("time-limit", errors.TimeLimitExceeded(1)),
    ],
)
def test_failures_are_written_as_celery_writes_them(name: str, error: Exception) -> None:
    assert encode_failure(error) == json.loads(metas()[name])["result"]


def test_a_nested_class_goes_by_its_qualified_name_and_comes_back() -> None:
    encoded = encode_failure(Outer.InnerError("nested"))

    assert encoded["exc_type"] == "Outer.InnerError"
    assert isinstance(decode_failure(encoded), Outer.InnerError)


def test_an_argument_that_json_lacks_becomes_its_repr() -> None:
    encoded = encode_failure(ValueError("a", {1}, Unprintable()))

    assert encoded["exc_message"] == ["a", "{1}", "<Unprintable: its repr failed with RuntimeError>"]


def test_an_exception_that_hides_its_arguments_is_written_all_the_same() -> None:
    class HidingError(Exception):
        @property
        def args(self) -> Any:  # type: ignore[override]  # that is the point
            raise RuntimeError("no")

    class Json:
        def __json__(self) -> None:
            raise LookupError("no")

    assert encode_failure(HidingError("a"))["exc_message"] == ["a"]
    assert "Json object" in encode_failure(ValueError(Json()))["exc_message"][0]


def test_a_constructor_that_wants_other_arguments_is_passed_by() -> None:
    failure = decode_failure(encode_failure(PickyError(code=3)))

    assert isinstance(failure, PickyError)
    assert failure.args == (3,)


def test_an_exception_that_could_not_be_shown_is_a_stand_in() -> None:
    failure = decode_failure(encode_failure(NeedyError(3, why="full")))

    assert isinstance(failure, errors.RemoteError)
    assert str(failure) == f"{__name__}.NeedyError: 3"


def test_an_exception_without_arguments_is_written_with_its_text() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(int).validate_python("q")

    failure = decode_failure(encode_failure(caught.value))

    assert "Input should be a valid integer" in str(failure)
    assert encode_failure(ValueError())["exc_message"] == []


def test_a_class_that_is_not_imported_stays_a_stand_in_and_travels_on() -> None:
    value = {"exc_type": "Weird", "exc_message": ["a", 1], "exc_module": "some.project.errors"}

    failure = decode_failure(value)

    assert isinstance(failure, errors.RemoteError)
    assert str(failure) == "some.project.errors.Weird: a, 1"
    assert "some.project.errors" not in sys.modules
    assert encode_failure(failure) == value | {"exc_message": ["a, 1"]}


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("builtins", "SystemExit"), ("builtins", "int"), ("json", "decoder.x")],
)
def test_only_ordinary_exceptions_are_built(module: str, name: str) -> None:
    failure = decode_failure({"exc_type": name, "exc_message": ["touch /nowhere"], "exc_module": module})

    assert isinstance(failure, errors.RemoteError)


def test_reading_never_runs_a_modules_getattr(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("lazy_module")
    module.__getattr__ = lambda name: pytest.fail("it was asked")  # type: ignore[method-assign]  # a module may have one
    monkeypatch.setitem(sys.modules, "lazy_module", module)

    failure = decode_failure({"exc_type": "Anything", "exc_message": [], "exc_module": "lazy_module"})

    assert isinstance(failure, errors.RemoteError)


def test_a_message_that_is_a_plain_string_is_read() -> None:
    failure = decode_failure({"exc_type": "ValueError", "exc_message": "old", "exc_module": "builtins"})

    assert failure.args == ("old",)


@pytest.mark.parametrize(
    ("error", "module"),
    [
        (errors.WorkerLostError("x"), "billiard.exceptions"),
        (errors.MaxRetriesExceededError("x"), "celery.exceptions"),
        (errors.OperationalError("x"), "kombu.exceptions"),
        (errors.NotSupported("x", "y"), "celery_rs.errors"),
        (KeyError("x"), "builtins"),
    ],
)
def test_classes_are_named_where_celery_has_them(error: Exception, module: str) -> None:
    assert encode_failure(error)["exc_module"] == module


@given(
    st.none()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(
        st.sampled_from(["exc_type", "exc_message", "exc_module"]),
        st.none() | st.text() | st.integers() | st.lists(st.text() | st.integers()),
    )
)
def test_anything_stored_reads_as_an_exception(value: object) -> None:
    assert isinstance(decode_failure(value), Exception)
