"""Standing in for Celery: who finds whom, who must not have come first, and what holds from then on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadlines import DEADLINE_S

ONE_LINE_ERROR = "celery_rs.errors.ImproperlyConfigured: "


def python(code: str, *paths: Path, warn: str = "ignore") -> subprocess.CompletedProcess[str]:
    """Run a program with celery-rs installed and these folders before all others on the path."""
    program = f"import sys; sys.path[:0] = {list(map(str, paths))!r}\n{code}"
    return subprocess.run(
        [sys.executable, "-W", warn, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def installed(code: str, *paths: Path, warn: str = "ignore") -> subprocess.CompletedProcess[str]:
    return python(f"from celery_rs.drop_in import install\ninstall()\n{code}", *paths, warn=warn)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with a `celery` of somebody else's."""
    package = tmp_path / "beside" / "celery"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("Celery = 'not ours'\n")
    (package / "worker.py").write_text("")
    return package.parent


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("celery.Celery", "celery_rs.Celery"),
        ("celery.Task", "celery_rs.Task"),
        ("celery.shared_task", "celery_rs.shared_task"),
        ("celery.current_app", "celery_rs.current_app"),
        ("celery.exceptions.Retry", "celery_rs.errors.Retry"),
        ("celery.app.task.Task", "celery_rs.Task"),
        ("celery.result.AsyncResult", "celery_rs.AsyncResult"),
        ("celery.signals.task_prerun", "celery_rs.signals.task_prerun"),
        ("celery.utils.log.get_task_logger", "celery_rs.get_task_logger"),
        ("celery.states.READY_STATES", "celery_rs.states.READY_STATES"),
        ("billiard.exceptions.WorkerLostError", "celery_rs.errors.WorkerLostError"),
        ("kombu.Queue", "celery_rs.wire.Queue"),
        ("kombu.common.Broadcast", "celery_rs.wire.Broadcast"),
        ("kombu.serialization.register", "celery_rs.serializers.register"),
        ("kombu.utils.json.register_type", "celery_rs.serializers.register_type"),
    ],
)
def test_celerys_names_are_our_objects(theirs: str, ours: str) -> None:
    modules = f"{theirs.rpartition('.')[0]}, {ours.rpartition('.')[0]}"

    run = installed(f"import {modules}\nassert {theirs} is {ours}")

    assert run.returncode == 0, run.stderr


def test_ours_is_found_before_a_celery_that_is_installed_beside_it(beside: Path) -> None:
    run = installed("import celery, kombu\nprint(celery.Celery, kombu.Queue)", beside)

    assert run.stdout == "<class 'celery_rs.app.app.Celery'> <class 'celery_rs.wire.topology.Queue'>\n"


def test_modules_of_the_other_one_are_not_mixed_in(beside: Path) -> None:
    run = installed("import celery.worker.loops", beside)

    assert run.stderr.splitlines()[-1] == (
        "ImportError: celery_rs has no equivalent of celery.worker.loops (see docs/migrating)"
    )


@pytest.mark.parametrize("name", ["celery", "kombu"])
def test_a_celery_that_was_imported_before_is_one_clear_error(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("")

    run = python(f"import {name}\nfrom celery_rs.drop_in import install\ninstall()", tmp_path)

    assert run.stderr.splitlines()[-1] == (
        f"{ONE_LINE_ERROR}celery_rs cannot stand in for {name!r}, which this program has imported from "
        f"{tmp_path / name}.py; call celery_rs.drop_in.install() before anything imports it"
    )


def test_installing_twice_changes_nothing() -> None:
    run = installed("import celery\ninstall()\nprint(sum(type(f).__name__ == 'Finder' for f in sys.meta_path))")

    assert run.stdout == "1\n", run.stderr


def test_a_missing_name_is_no_attribute_to_those_who_ask_politely() -> None:
    run = installed("import celery.utils\nprint(hasattr(celery, 'chain'), hasattr(celery.utils, 'memoize'))")

    assert run.stdout == "False False\n", run.stderr


def test_a_star_import_brings_the_table_and_nothing_else() -> None:
    run = installed("from celery.states import *\nprint(SUCCESS, precedence(FAILURE), 'Any' in globals())")

    assert run.stdout == "SUCCESS 1 False\n", run.stderr


def test_the_version_is_the_celery_that_it_stands_for() -> None:
    run = installed("import celery, celery_rs\nprint(celery.VERSION[:3], celery.__version__ != celery_rs.__version__)")

    assert run.stdout == "(5, 7, 0) True\n", run.stderr


def test_the_registry_is_that_of_the_app_in_use() -> None:
    run = installed(
        "from celery import Celery, registry\napp = Celery()\n@app.task(name='t')\ndef t(): ...\n"
        "print(registry.tasks['t'] is t, registry.tasks.get('u'), 't' in list(registry.tasks), len(registry.tasks) > 1)"
    )

    assert run.stdout == "True None True True\n", run.stderr


def test_what_monitoring_packages_miss_is_a_warning() -> None:
    run = installed("try:\n    import celery.app.trace\nexcept ImportError:\n    pass", warn="default")

    assert "<string>:5: CeleryWarning: celery_rs has no equivalent of celery.app.trace" in run.stderr
    assert "errors and traces of tasks are not reported" in run.stderr


def test_celerys_defaults_hold() -> None:
    run = installed("from celery import Celery\napp = Celery('proj')\nprint(app.broker_url, app.backend_url)")

    assert run.stdout == "amqp:// None\n", run.stderr


def test_an_unknown_setting_is_a_warning() -> None:
    run = installed("from celery import Celery\nCelery('proj', task_serialiser='json')", warn="default")

    assert run.returncode == 0
    assert "UserWarning: unknown setting 'task_serialiser'; did you mean 'task_serializer'?" in run.stderr


def test_a_project_may_insist_on_strict_settings() -> None:
    run = installed("from celery import Celery\nCelery('proj', strict_config=True, task_serialiser='json')")

    assert run.stderr.splitlines()[-1].startswith("celery_rs.errors.UnknownSetting: ")


def test_an_exception_is_named_on_the_wire_as_celery_names_it() -> None:
    run = installed(
        "from celery.exceptions import InvalidTaskError\nfrom celery_rs.wire import encode_failure\n"
        "print(encode_failure(InvalidTaskError('no'))['exc_module'])"
    )

    assert run.stdout == "celery.exceptions\n", run.stderr


def test_installing_is_light() -> None:
    run = installed("print({'celery_rs.app', 'celery_rs.worker', 'click', 'asyncio'} & set(sys.modules))")

    assert run.stdout == "set()\n"


PROGRAM = "import sys\nimport celery\nimport neighbour\nprint(celery.Celery.__module__, __name__, sys.argv[1:])\n"


def launch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(PROGRAM)
    (folder / "neighbour.py").write_text("")
    return subprocess.run(
        [sys.executable, "-m", "celery_rs.drop_in", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("how", [("program.py",), ("-m", "program")])
def test_a_program_can_be_run_as_it_is(how: tuple[str, ...], tmp_path: Path) -> None:
    run = launch(tmp_path, *how, "a", "-b")

    assert run.stdout == "celery_rs.app.app __main__ ['a', '-b']\n", run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "usage: python -m celery_rs.drop_in PROGRAM.py [ARG...]"),
        (("-m",), "usage: python -m celery_rs.drop_in PROGRAM.py [ARG...]"),
        (("nowhere.py",), "expected a program to run, got 'nowhere.py', where there is none"),
    ],
)
def test_a_program_that_cannot_be_run_is_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    run = launch(tmp_path, *arguments)

    assert run.returncode == 1
    assert run.stderr.splitlines()[0] == said
