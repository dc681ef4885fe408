"""Where settings and tasks come from, which app is meant, and the hooks of a loader."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs import Celery, context, current_app, errors, signals
from celery_rs.app import DefaultLoader, Loader
from celery_rs.app.loaders import run_hooks
from tests.apps import call, make_app


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, on the path; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("CELERY_LOADER", "CELERY_CONFIG_MODULE", "CELERY_BROKER_URL", "C_STRICT_APP", "C_WARN_APP"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not name.startswith("celery_rs"):
            del sys.modules[name]


@pytest.fixture
def no_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has made none."""
    for name in ("_default_app", "_newest_app", "_fallback_app"):
        monkeypatch.setattr(context, name, None)
    token = context._current_app.set(None)
    yield
    context._current_app.reset(token)


# which app is meant


def test_a_thread_has_the_app_that_it_made_and_others_the_newest(no_app: None) -> None:
    first = Celery("first", broker="memory://")
    seen = []

    def other() -> None:
        seen.append(context.current_app())
        seen.append(Celery("second", broker="memory://"))
        seen.append(context.current_app())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()

    assert seen[0] is first
    assert seen[1] is seen[2]
    assert context.current_app() is first


def test_a_default_stands_whatever_is_made_later(no_app: None) -> None:
    first = Celery("first", broker="memory://")
    first.set_default()
    Celery("second", broker="memory://")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(context.current_app()))
    thread.start()
    thread.join()

    assert seen == [first]


def test_set_current_makes_another_app_that_of_this_thread(no_app: None) -> None:
    first = Celery("first", broker="memory://")
    Celery("second", broker="memory://")

    first.set_current()

    assert current_app == first
    assert isinstance(current_app, Celery)


def test_without_an_app_celeryconfig_is_read(no_app: None, project: Path) -> None:
    (project / "celeryconfig.py").write_text("task_default_queue = 'from-celeryconfig'")

    assert current_app.main == "default"
    assert current_app.conf.task_default_queue == "from-celeryconfig"
    assert current_app.broker_url == f"sqlite:///{project}/celery-rs.sqlite3"
    assert context.current_app() is context.current_app()


def test_without_celeryconfig_either_there_are_the_defaults(no_app: None, project: Path) -> None:
    assert current_app.conf.task_default_queue == "celery"


def test_an_error_in_celeryconfig_is_not_hidden(no_app: None, project: Path) -> None:
    (project / "celeryconfig.py").write_text("import no_such_module")

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = current_app.conf.task_default_queue


def test_the_fallback_can_be_forbidden_or_shown(
    no_app: None, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("C_STRICT_APP", "1")
    with pytest.raises(errors.ImproperlyConfigured, match="no app yet"):
        _ = current_app.main
    monkeypatch.delenv("C_STRICT_APP")
    monkeypatch.setenv("C_WARN_APP", "1")

    assert current_app.main == "default"

    assert "test_the_fallback_can_be_forbidden_or_shown" in capfd.readouterr().err


# loaders


class Noting(Loader):
    """Notes what it is told."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.heard: list[Any] = []

    def read_configuration(self, env: str = "") -> Any:
        return {"task_default_queue": "from-loader"}

    def on_task_init(self, task_id: str, task: Any) -> None:
        self.heard.append((task_id, task.name))

    def on_process_cleanup(self) -> None:
        self.heard.append("cleanup")

    def on_worker_init(self) -> None:
        self.heard.append("worker")


def test_a_loader_may_be_a_class_a_path_or_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_LOADER", raising=False)

    assert type(Celery(loader=Noting, set_as_current=False).loader) is Noting
    assert type(Celery(loader=f"{__name__}.Noting", set_as_current=False).loader) is Noting
    assert type(Celery(loader="default", set_as_current=False).loader) is DefaultLoader
    assert type(Celery(set_as_current=False).loader) is Loader


def test_the_environment_names_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_LOADER", f"{__name__}:Noting")

    assert type(Celery(set_as_current=False).loader) is Noting


@pytest.mark.parametrize(
    ("loader", "complaint"),
    [
        ("nothing", "loader: expected a class or a path like 'module:Name', got 'nothing'"),
        ("no.such:Loader", "loader: there is no module 'no', got 'no.such:Loader'"),
        (f"{__name__}:Nobody", f"loader: module '{__name__}' has no 'Nobody'"),
        (int, "loader: expected a subclass of celery_rs.app.Loader, got <class 'int'>"),
    ],
)
def test_a_loader_that_leads_nowhere_is_one_line(loader: Any, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_LOADER", raising=False)

    with pytest.raises(errors.ImproperlyConfigured) as caught:
        _ = Celery(loader=loader, set_as_current=False).loader

    assert str(caught.value).startswith(complaint)


def test_the_loader_names_the_source_of_an_app_that_has_none() -> None:
    app = Celery(loader=Noting, broker="memory://", set_as_current=False)
    other = Celery(loader=Noting, config_source={"task_default_queue": "own"}, set_as_current=False)

    assert app.conf.task_default_queue == "from-loader"
    assert other.conf.task_default_queue == "own"


def test_a_loader_hears_of_each_run() -> None:
    app = make_app(task_default_rate_limit=None)
    app.loader_cls = Noting
    task = app.task(name="proj.t")(lambda: None)

    assert app.loader.heard == []
    call(app, task, task_id="one")

    assert app.loader.heard == [("one", "proj.t"), "cleanup"]


def test_hooks_that_nobody_overrides_are_not_called() -> None:
    app = make_app()

    assert run_hooks(app.loader) is None
    assert app.run_hooks is None


def test_a_worker_imports_its_modules_once_and_then_says_so(project: Path) -> None:
    (project / "one.py").write_text("")
    (project / "two.py").write_text("")
    app = make_app(imports=["one"], include=["two"])
    app.loader_cls = Noting

    app.loader.init_worker()
    app.loader.init_worker()

    assert {"one", "two"} <= sys.modules.keys()
    assert app.loader.task_modules == {"one", "two"}
    assert app.loader.heard == ["worker"]


def test_what_a_receiver_of_import_modules_raises_is_raised() -> None:
    app = make_app()

    def fail(**_: Any) -> None:
        raise KeyError("k")

    signals.import_modules.connect(fail, sender=app)

    with pytest.raises(KeyError):
        app.loader.import_default_modules()


# autodiscovery


@pytest.fixture
def packages(project: Path) -> Path:
    for package in ("alpha", "beta", "gamma"):
        (project / package).mkdir()
        (project / package / "__init__.py").write_text("")
    (project / "alpha" / "tasks.py").write_text("loaded = True")
    (project / "beta" / "jobs.py").write_text("loaded = True")
    (project / "gamma" / "tasks.py").write_text("import no_such_module")
    return project


def test_task_modules_are_found_when_the_worker_imports(packages: Path) -> None:
    app = make_app()
    app.autodiscover_tasks(["alpha", "beta"])
    assert "alpha" not in sys.modules

    app.loader.import_default_modules()

    assert "alpha.tasks" in sys.modules
    assert app.loader.task_modules == {"alpha.tasks"}


@pytest.mark.parametrize(
    ("given", "related", "found"),
    [
        (["alpha"], "tasks", {"alpha.tasks"}),
        (lambda: ["beta"], "jobs", {"beta.jobs"}),
        (["alpha", "beta"], None, {"alpha", "beta"}),
        (["alpha.apps.AlphaConfig"], "tasks", None),
        (["beta.BetaConfig"], "jobs", {"beta.jobs"}),
        (None, "tasks", set()),
    ],
)
def test_at_once_when_forced(packages: Path, given: Any, related: str | None, found: set[str] | None) -> None:
    app = make_app()

    if found is None:
        with pytest.raises(ModuleNotFoundError):
            app.autodiscover_tasks(given, related, force=True)
    else:
        app.autodiscover_tasks(given, related, force=True)
        assert app.loader.task_modules == found


def test_an_error_inside_a_task_module_comes_through(packages: Path) -> None:
    app = make_app()
    app.autodiscover_tasks(["gamma"])

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        app.loader.import_default_modules()


def test_a_package_that_does_not_exist_is_an_error(packages: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="delta"):
        make_app().autodiscover_tasks(["delta"], force=True)


def test_one_name_instead_of_a_list_is_told(packages: Path) -> None:
    with pytest.raises(errors.ImproperlyConfigured, match=r"expects a list of packages, got 'alpha'"):
        make_app().autodiscover_tasks("alpha", force=True)


def test_fixups_know_the_packages(packages: Path) -> None:
    class Fixup:
        def __init__(self, app: Celery) -> None:
            self.app = app

        def autodiscover_tasks(self) -> list[str]:
            return ["alpha"]

    app = Celery("proj", broker="memory://", fixups=[Fixup, lambda app: None], set_as_current=False)
    app.autodiscover_tasks(force=True)
    assert app.loader.task_modules == {"alpha.tasks"}
