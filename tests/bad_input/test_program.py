"""Every mistake at every entry point of the Python interface: one line of CeleryError, TypeError or ValueError.

The matrix is generated: settings × ways to set them, options × the decorator, calls × ways to call.
"""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.errors import CeleryError, ImproperlyConfigured
from tests.bad_input.python_rows import CALLS, DECORATIONS, SETTINGS, BadCall, BadOption, BadSetting
from tests.cli.conftest import Write

MISTAKE = (CeleryError, TypeError, ValueError)
"""What a program may catch; anything else is an accident of ours."""


def bare() -> Celery:
    return Celery("proj", broker="memory://bad-input", backend="memory://bad-input", set_as_current=False)


def read(app: Celery) -> None:
    """The first look at a setting reads the source of settings."""
    app.conf["task_default_priority"]


def by_constructor(row: BadSetting, write: Write) -> None:
    Celery("proj", set_as_current=False, **{row.name: row.value})


def by_attribute(row: BadSetting, write: Write) -> None:
    setattr(bare().conf, row.name, row.value)


def by_item(row: BadSetting, write: Write) -> None:
    bare().conf[row.name] = row.value


def by_update(row: BadSetting, write: Write) -> None:
    bare().conf.update({row.name: row.value})


def by_mapping(row: BadSetting, write: Write) -> None:
    app = bare()
    app.config_from_object({row.name: row.value})
    read(app)


def by_module(row: BadSetting, write: Write) -> None:
    app = bare()
    write({"a_config.py": f"import pickle\n{row.name} = pickle.loads({pickle.dumps(row.value)!r})\n"})
    app.config_from_object("a_config")
    read(app)


def by_envvar(row: BadSetting, write: Write) -> None:
    app = bare()
    write({"a_config.py": f"{row.name} = {row.value!r}\n"})
    os.environ["PROJ_CONFIG"] = "a_config"
    app.config_from_envvar("PROJ_CONFIG")
    read(app)


def by_cmdline(row: BadSetting, write: Write) -> None:
    app = bare()
    app.config_from_cmdline([f"{row.name}={row.text}"])
    read(app)


WAYS: tuple[Callable[[BadSetting, Write], None], ...] = (
    by_constructor, by_attribute, by_item, by_update, by_mapping, by_module, by_envvar, by_cmdline,
)  # fmt: skip
CELLS = [
    (row, way)
    for row in SETTINGS
    for way in WAYS
    if not (way is by_cmdline and row.text is None)
    # a module's name with no prefix of ours is the project's own
    and not (way in (by_module, by_envvar) and row.what == "misspelt prefix")
]
WARNED = {(what, way) for what in ("misspelt", "not there yet") for way in (by_module, by_envvar)}
"""A module may have names of its own, so that these are only a warning (decision 19)."""


def message(caught: pytest.ExceptionInfo[BaseException]) -> str:
    """The one line that the user reads."""
    text = str(caught.value)
    assert "\n" not in text, text
    assert text, repr(caught.value)
    assert not text.endswith("."), text
    return text


@pytest.mark.parametrize(("row", "way"), CELLS, ids=[f"{row.what} @ {way.__name__}" for row, way in CELLS])
def test_a_setting_that_makes_no_sense_is_one_line(
    project: Path, write: Write, row: BadSetting, way: Callable[[BadSetting, Write], None]
) -> None:
    if (row.what, way) in WARNED:
        with pytest.warns(UserWarning, match=re.escape(row.name)) as warned:
            way(row, write)
        said = str(warned[0].message)
    else:
        with pytest.raises(ImproperlyConfigured) as caught:
            way(row, write)
        said = message(caught)

    assert [word for word in row.says if word not in said] == [], said


@pytest.mark.parametrize("row", DECORATIONS, ids=lambda row: row.what)
def test_an_option_of_a_task_that_makes_no_sense_is_one_line(row: BadOption) -> None:
    app = bare()

    def add(x: int, y: int) -> int:
        return x + y

    def declare() -> None:
        decorate: Any = app.task
        decorate(**row.options)(add)
        app.finalize()

    with pytest.raises(MISTAKE) as caught:
        declare()

    said = message(caught)
    assert [word for word in row.says if word not in said] == [], said


def by_delay(app: Celery, row: BadCall) -> None:
    app.tasks["proj.add"].delay(*row.args, **(row.kwargs or {}))


def by_apply_async(app: Celery, row: BadCall) -> None:
    app.tasks["proj.add"].apply_async(row.args, row.kwargs, **row.options)


def by_send_task(app: Celery, row: BadCall) -> None:
    app.send_task("proj.add", row.args, row.kwargs, **row.options)


CALLERS = {"delay": by_delay, "apply_async": by_apply_async, "send_task": by_send_task}
CALL_CELLS = [(row, name) for row in CALLS for name in row.only.split()]


@pytest.mark.parametrize(("row", "way"), CALL_CELLS, ids=[f"{row.what} @ {way}" for row, way in CALL_CELLS])
def test_a_call_that_makes_no_sense_is_one_line(row: BadCall, way: str, broker: str) -> None:
    app = Celery("proj", broker=broker, backend=broker, set_as_current=False)

    @app.task(name="proj.add")
    def add(x: int, y: int) -> int:
        return x + y

    with pytest.raises(MISTAKE) as caught:
        CALLERS[way](app, row)

    said = message(caught)
    assert [word for word in row.says if word not in said] == [], said
    assert app.transport.queues(["celery"])["celery"].ready == 0


def test_a_route_with_an_option_that_nobody_knows_is_told_at_the_call(broker: str) -> None:
    app = Celery("proj", broker=broker, task_routes={"proj.add": {"qeue": "x"}}, set_as_current=False)

    with pytest.raises(MISTAKE) as caught:
        app.send_task("proj.add", (1, 2))

    assert "'qeue'" in message(caught)


@pytest.mark.parametrize("ask", ["get", "state", "ready", "result", "forget"])
def test_results_that_are_off_say_which_setting_turns_them_on(broker: str, ask: str) -> None:
    result = Celery("proj", broker=broker, set_as_current=False).AsyncResult("some-id")

    def asked() -> object:
        found = getattr(result, ask)
        return found() if callable(found) else found

    with pytest.raises((*MISTAKE, NotImplementedError)) as caught:
        asked()

    said = message(caught)
    assert "result_backend" in said
    assert "sqlite:///" in said


def test_a_result_needs_an_id(broker: str) -> None:
    app = Celery("proj", broker=broker, backend=broker, set_as_current=False)

    with pytest.raises(ValueError, match="a result needs the id of a task, got None"):
        app.AsyncResult(None)  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize("timeout", ["soon", float("nan")])
def test_a_wait_needs_a_time(broker: str, timeout: Any) -> None:
    app = Celery("proj", broker=broker, backend=broker, set_as_current=False)

    with pytest.raises(MISTAKE) as caught:
        app.AsyncResult("some-id").get(timeout=timeout)

    assert "timeout" in message(caught)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("NOT_SET", "the environment variable 'NOT_SET' must name a module, and is not set"),
        ("PROJ_NOWHERE", "no_such_module"),
    ],
)
def test_a_module_of_settings_that_is_not_there_is_one_line(project: Path, variable: str, said: str) -> None:
    os.environ["PROJ_NOWHERE"] = "no_such_module"
    app = bare()

    def configure() -> None:
        app.config_from_envvar(variable)
        read(app)

    with pytest.raises(MISTAKE) as caught:
        configure()

    assert said in message(caught)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("carrier-pigeon://x", "expected a broker URL such as"),
        ("sqs://u:hunter2@h", "not supported yet"),
        ("sqlite:///folder", "is a directory"),
        ("sqlite:///no/such/x.sqlite3", "no/such"),
        ("sqlite:///text.txt", "text.txt"),
    ],
)
@pytest.mark.parametrize("where", ["broker", "backend"])
def test_a_place_that_cannot_be_used_is_one_line(
    project: Path, write: Write, broker: str, url: str, said: str, where: str
) -> None:
    write({"text.txt": json.dumps("no database") * 100, "folder/x": ""})

    def use() -> None:
        places: dict[str, Any] = {"broker": broker, "backend": broker, where: url}
        app = Celery("proj", set_as_current=False, **places)
        app.send_task("proj.add")
        app.AsyncResult("some-id").ready()

    with pytest.raises(CeleryError) as caught:
        use()

    shown = message(caught)
    assert "hunter2" not in shown
    assert said in shown or (where == "backend" and "expected a" in shown)
