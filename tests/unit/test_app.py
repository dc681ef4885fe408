"""The façade: where things are, what a fork forgets, what is public."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import celery_rs
from celery_rs import AsyncResult, Celery, Task, errors
from celery_rs.app.later import ATTRIBUTES, SENDING
from celery_rs.context import current_app
from celery_rs.version import version_info_of
from tests.apps import call, make_app
from tests.deadlines import DEADLINE_S


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.delenv("CELERY_RESULT_BACKEND", raising=False)


def app_in(directory: Path, code: str = "app = Celery('proj', set_as_current=False)") -> Celery:
    """The app that a module in `directory` makes."""
    namespace = {"__name__": "proj", "__file__": str(directory / "proj.py")}
    exec(f"from celery_rs import Celery\n{code}", namespace)
    app = namespace["app"]
    assert isinstance(app, Celery)
    return app


def test_without_a_broker_everything_is_in_a_file_beside_the_module(tmp_path: Path) -> None:
    app = app_in(tmp_path)

    assert app.broker_url == f"sqlite:///{tmp_path}/celery-rs.sqlite3"
    assert app.backend_url == app.broker_url


def test_a_subclass_is_at_home_where_it_is_made(tmp_path: Path) -> None:
    code = "class Mine(Celery): pass\napp = Mine('proj', set_as_current=False)"

    assert app_in(tmp_path, code).broker_url == f"sqlite:///{tmp_path}/celery-rs.sqlite3"


def test_without_a_file_the_working_directory_is_home(tmp_path: Path) -> None:
    code = "from celery_rs import Celery; print(Celery('proj').broker_url)"

    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert printed.stdout.strip() == f"sqlite:///{tmp_path.resolve()}/celery-rs.sqlite3"


def test_the_path_of_the_file_is_escaped_in_its_url(tmp_path: Path) -> None:
    assert app_in(tmp_path / "50% ?").broker_url.endswith("/50%25 %3F/celery-rs.sqlite3")


def test_a_named_broker_keeps_results_only_where_asked(tmp_path: Path) -> None:
    named = app_in(tmp_path, "app = Celery('p', broker='sqlite:///x.sqlite3', set_as_current=False)")
    plain = app_in(tmp_path, "app = Celery('p', broker='sqlite://', set_as_current=False)")
    both = app_in(tmp_path, "app = Celery('p', broker='memory://', backend='sqlite://', set_as_current=False)")

    assert (named.broker_url, named.backend_url) == ("sqlite:///x.sqlite3", None)
    assert (plain.broker_url, plain.backend_url) == (f"sqlite:///{tmp_path}/celery-rs.sqlite3", None)
    assert both.backend_url == f"sqlite:///{tmp_path}/celery-rs.sqlite3"


def test_the_environment_names_the_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://e")

    assert app_in(tmp_path).broker_url == "memory://e"


def test_a_broker_that_makes_no_sense_is_one_line() -> None:
    app = Celery("proj", broker="nowhere", set_as_current=False)

    with pytest.raises(errors.ImproperlyConfigured) as caught:
        app.send_task("t")

    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_settings_are_refused_where_the_app_is_made() -> None:
    with pytest.raises(errors.ImproperlyConfigured, match="did you mean 'task_serializer'"):
        Celery("proj", task_serialiser="json", set_as_current=False)


def test_settings_come_from_an_object_or_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    app.config_from_object({"task_default_queue": "q"})
    monkeypatch.setenv("PROJ_CONFIG", "no.such.module")

    assert app.conf.task_default_queue == "q"
    app.config_from_envvar("PROJ_CONFIG")
    with pytest.raises(errors.ImproperlyConfigured, match=r"no\.such\.module"):
        _ = app.conf.task_default_queue
    with pytest.raises(errors.ImproperlyConfigured, match="'NO_SUCH_VARIABLE' must name a module"):
        app.config_from_envvar("NO_SUCH_VARIABLE")


def test_the_last_app_made_is_the_default_one_unless_it_declines() -> None:
    app = Celery("default", broker="memory://")
    make_app()

    assert current_app() is app


def test_a_call_by_name_needs_no_task_here() -> None:
    app = make_app()

    result = app.send_task("elsewhere.add", [1], {"a": 2})

    (delivery,) = app.transport.consume(["celery"]).receive(1, 0).deliveries
    assert not isinstance(delivery.envelope, ValueError)
    assert (delivery.envelope.id, delivery.envelope.task) == (result.id, "elsewhere.add")
    assert (delivery.envelope.argsrepr, delivery.envelope.ignore_result) == ("[1]", None)


class Connection:
    """A transport or store that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def flush(self, deadline: float) -> int:
        self.done.append("flush")
        return 0

    def close(self) -> None:
        self.done.append("close")

    def after_fork(self) -> None:
        self.done.append("after_fork")


def test_closing_waits_for_what_was_published_and_the_next_use_opens_again() -> None:
    transport: Any = Connection()
    backend: Any = Connection()
    app = make_app()
    app._transport, app._backend = transport, backend

    with app:
        pass

    assert (transport.done, backend.done) == (["flush", "close"], ["close"])
    assert app.transport is not transport
    app.close()
    app.close()


def test_a_forked_child_forgets_connections_without_closing_them() -> None:
    transport: Any = Connection()
    backend: Any = Connection()
    app = make_app()
    app._transport, app._backend = transport, backend
    origin = app.compose("t", (), {}).message.origin

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        other = app.compose("t", (), {}).message.origin
        fine = transport.done == backend.done == ["after_fork"] and app._transport is None and other != origin
        os.write(write, b"fine" if fine else repr((transport.done, other)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    said = os.read(read, 1000)
    os.close(read)

    assert said == b"fine"
    assert app._transport is transport


def test_every_public_name_is_there() -> None:
    for name in celery_rs.__all__:
        assert getattr(celery_rs, name) is not None
    assert set(celery_rs.__all__) <= set(dir(celery_rs))
    assert celery_rs.__version__ == version("celery-rs")
    with pytest.raises(AttributeError, match="has no attribute 'Celry'"):
        _ = importlib.import_module("celery_rs").Celry


# the constructor, and what an app is made of


def test_the_constructor_takes_its_arguments_in_celerys_order() -> None:
    app = Celery("proj", None, "memory://results", None, None, None, None, False, None, "memory://broker", ["a"])

    assert (app.backend_url, app.broker_url, tuple(app.conf.include)) == ("memory://results", "memory://broker", ("a",))


def test_changes_and_keywords_win_over_the_source_of_settings() -> None:
    app = Celery(
        "proj",
        changes={"task_default_queue": "change"},
        config_source={"task_default_queue": "source", "task_default_priority": 5, "broker_url": "memory://s"},
        broker="memory://k",
        set_as_current=False,
    )

    assert (app.conf.task_default_queue, app.conf.task_default_priority, app.broker_url) == ("change", 5, "memory://k")


def test_a_source_that_cannot_be_imported_may_be_silent() -> None:
    app = Celery("proj", config_source="no.such.module", config_source_silent=True, set_as_current=False)

    assert app.conf.task_default_queue == "celery"


def test_tasks_can_be_given_to_the_constructor() -> None:
    class Given(Task):
        name = "proj.given"

    assert "proj.given" in Celery("proj", broker="memory://", tasks={"x": Given()}, set_as_current=False).tasks


@pytest.mark.parametrize("name", ["amqp", "events"])
def test_parts_that_are_not_there_are_refused_by_name(name: str) -> None:
    given: dict[str, Any] = {name: object}

    with pytest.raises(errors.NotSupported, match=rf"Celery\({name}=\.\.\.\) is not supported here; "):
        Celery("proj", **given)


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_what_celery_has_and_we_have_not_is_refused_by_name(name: str) -> None:
    app = make_app()

    assert not hasattr(app, name)
    with pytest.raises(errors.NotSupported, match=rf"^app\.{name} is not supported here; ") as caught:
        getattr(app, name)
    assert "\n" not in str(caught.value)


def test_a_name_that_nobody_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Celery' object has no attribute 'tsk'"):
        _ = make_app().tsk


@pytest.mark.parametrize("name", sorted(SENDING))
def test_send_task_refuses_what_only_celery_can_be_given(name: str) -> None:
    app = make_app()

    nothing: dict[str, Any] = {name: None}
    something: dict[str, Any] = {name: object()}

    app.send_task("t", **nothing)
    with pytest.raises(errors.NotSupported, match=name):
        app.send_task("t", **something)


def test_send_task_makes_the_result_that_is_asked_for() -> None:
    class Mine(AsyncResult[Any]):
        pass

    assert type(make_app().send_task("t", result_cls=Mine)) is Mine


def test_boot_steps_are_refused_when_one_is_added() -> None:
    app = make_app()

    assert set(app.steps) == {"worker", "consumer"}
    assert len(app.steps["worker"]) == 0
    with pytest.raises(errors.NotSupported, match=r"app\.steps\['worker'\]"):
        app.steps["worker"].add(object)
    with pytest.raises(errors.NotSupported, match=r"app\.steps\['consumer'\]"):
        app.steps["consumer"].update([object])
    with pytest.raises(errors.ImproperlyConfigured, match="got 'beat'"):
        _ = app.steps["beat"]


def test_options_of_the_users_own_have_a_place() -> None:
    assert {kind: set(options) for kind, options in make_app().user_options.items()} == {
        "worker": set(),
        "beat": set(),
        "events": set(),
        "preload": set(),
    }


def test_parts_may_be_classes_or_paths() -> None:
    class Mine(Celery):
        log_cls = f"{__name__}:Part"
        worker_cls = f"{__name__}:Part"

    app = Mine("proj", broker="memory://", control=f"{__name__}:Part", set_as_current=False)

    assert [type(part).__name__ for part in (app.control, app.log)] == ["Part", "Part"]
    assert app.log is app.log
    assert app.Worker(hostname="h").options == {"hostname": "h"}
    with pytest.raises(errors.ImproperlyConfigured, match=r"control_cls: .* got 'nowhere'"):
        Celery("proj", control="nowhere", set_as_current=False)


class Part:
    """Found by its path."""

    def __init__(self, app: Celery, **options: Any) -> None:
        self.app = app
        self.options = options

    of = classmethod(lambda cls, app, **options: cls(app, **options))


# signals and hooks of the app


def test_an_app_says_when_it_reads_its_settings_and_when_it_has() -> None:
    app = make_app()
    heard: list[Any] = []

    @app.on_configure.connect
    def before(sender: Any, **_: Any) -> None:
        heard.append("before")
        sender.conf.task_default_queue = "set-by-receiver"

    @app.on_after_configure.connect
    def after(sender: Any, source: Any, **_: Any) -> None:
        heard.append((sender is app, source.task_default_queue))

    assert app.conf.task_default_queue == "set-by-receiver"
    assert app.conf.task_default_queue
    assert heard == ["before", (True, "set-by-receiver")]


def test_a_subclass_may_have_methods_instead() -> None:
    class Mine(Celery):
        def on_init(self) -> None:
            self.seen = ["init"]

        def on_configure(self) -> None:
            self.seen.append("configure")

        def prepare_config(self, c: Any) -> Any:
            return {**c, "task_default_queue": "prepared"}

    app = Mine("proj", config_source={"task_default_queue": "source"}, set_as_current=False)

    assert app.seen == ["init"]
    assert app.conf.task_default_queue == "prepared"
    assert app.seen == ["init", "configure"]


def test_a_forked_child_reads_a_clock_whose_lock_the_parent_held() -> None:
    app = Celery("proj", broker="memory://")
    app.clock.forward()

    with app.clock._lock:
        child = os.fork()
        if not child:
            signal.alarm(5)
            os._exit(0 if app.clock.forward() == 2 else 1)

    assert os.waitpid(child, 0)[1] == 0


def test_a_forked_child_says_so() -> None:
    app = make_app()
    read, write = os.pipe()

    def note(sender: Any, **_: Any) -> None:
        os.write(write, f"{sender is app} {sender.oid == parents}".encode())

    parents = app.oid
    app.on_after_fork.connect(note)

    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    said = os.read(read, 100)
    os.close(read)

    assert said == b"True False"


def test_defaults_are_weaker_than_anything_and_may_be_a_function() -> None:
    app = make_app(task_default_priority=3)
    app.add_defaults(lambda: {"task_default_queue": "d", "task_default_priority": 1})

    assert (app.conf.task_default_queue, app.conf.task_default_priority) == ("d", 3)


def test_words_of_a_command_line_are_settings() -> None:
    app = make_app()

    app.config_from_cmdline(["worker.concurrency=4", "task_default_queue=q"])

    assert (app.conf.worker_concurrency, app.conf.task_default_queue) == (4, "q")


def test_either_is_the_first_value_or_the_setting() -> None:
    app = make_app(task_default_queue="q")

    assert app.either("task_default_queue", None, "given") == "given"
    assert app.either("task_default_queue", None) == "q"
    assert app.either("task_default_queue", 0) == 0


# time, threads, tasks that run


def test_the_zone_is_that_of_the_settings() -> None:
    utc, zone, local = make_app(), make_app(timezone="Europe/Oslo"), make_app(enable_utc=False)

    assert (utc.uses_utc_timezone(), zone.uses_utc_timezone(), local.uses_utc_timezone()) == (True, False, False)
    assert str(zone.timezone) == "Europe/Oslo"
    assert utc.now().utcoffset() == timedelta(0)
    assert zone.now().tzinfo is not None
    assert local.now().utcoffset() == datetime.now().astimezone().utcoffset()


def test_each_thread_has_an_id_of_its_own() -> None:
    app = make_app()
    seen = [app.thread_oid, app.thread_oid]
    thread = threading.Thread(target=lambda: seen.append(app.thread_oid))
    thread.start()
    thread.join()

    assert seen[0] == seen[1] != seen[2]
    assert app.oid not in seen


def test_the_task_that_runs_is_told_apart_from_the_one_of_the_worker() -> None:
    app = make_app()

    @app.task(name="proj.inner")
    def inner() -> Any:
        return [app.current_task.name, app.current_worker_task.name]

    @app.task(name="proj.outer")
    def outer() -> Any:
        return inner()

    app.set_current()

    assert call(app, outer).text == "['proj.inner', 'proj.outer']"
    assert app.current_task is None
    assert app.current_worker_task is None


def test_queues_can_be_selected_for_workers() -> None:
    app = make_app()

    app.select_queues(["a", "b"])

    assert [queue.name for queue in app.queues()] == ["a", "b"]
    assert [queue.name for queue in app.queues(include=["c"])] == ["c"]


# the command line


def test_start_runs_the_command_line_with_this_app(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    app = app_in(tmp_path)

    assert app.start(["list", "bindings"]) == 0
    assert "celery" in capfd.readouterr().out
    with pytest.raises(SystemExit) as ended:
        app.start(["no-such-command"])
    assert ended.value.code == 2


def test_worker_main_wants_the_word_worker() -> None:
    with pytest.raises(ValueError, match=r"expects the word 'worker' among its arguments, got \['-l', 'info'\]"):
        make_app().worker_main(["-l", "info"])


def test_worker_main_runs_a_worker(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(
        "import os, signal\n"
        "from celery_rs import Celery, signals\n"
        "app = Celery('proj')\n"
        "@app.task\n"
        "def add(x, y): return x + y\n"
        "@signals.worker_ready.connect\n"
        "def stop(**_): os.kill(os.getpid(), signal.SIGTERM)\n"
        "if __name__ == '__main__': app.worker_main(['worker', '-l', 'info', '-P', 'solo'])\n"
    )

    run = subprocess.run(
        [sys.executable, "proj.py"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )

    assert run.returncode == 0, run.stderr
    assert ". proj.add" in run.stdout


def test_names_of_workflows_say_that_they_are_not_there_yet() -> None:
    for name in ("chain", "chord", "group", "chunks", "xmap", "xstarmap"):
        with pytest.raises(ImportError, match=rf"celery_rs\.{name} is not supported yet; call the next task"):
            exec(f"from celery_rs import {name}")


def test_the_version_can_be_compared() -> None:
    assert celery_rs.version_info == celery_rs.VERSION
    assert celery_rs.version_info >= (0, 1)
    assert version_info_of("1.2.3a1") == (1, 2, 3, "a1", "")
    assert version_info_of("1.2") == (1, 2, 0, "", "")
    assert celery_rs.__version__ in celery_rs.VERSION_BANNER


def test_a_report_names_the_version_and_no_secret() -> None:
    app = Celery("proj", broker="redis://:s3cret@h//", set_as_current=False)

    assert celery_rs.__version__ in celery_rs.bugreport(app)
    assert "s3cret" not in app.bugreport()


def test_a_program_may_run_a_worker_of_its_app(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(
        "import os, signal\n"
        "from celery_rs import Celery, current_app, signals\n"
        "app = Celery('proj', autofinalize=False, set_as_current=False)\n"
        "@app.task\n"
        "def add(x, y): return x + y\n"
        "@signals.worker_ready.connect\n"
        "def stop(**_): os.kill(os.getpid(), signal.SIGTERM)\n"
        "worker = app.Worker(pool='solo', queues='a,b', loglevel='INFO')\n"
        "print(app.finalized, current_app == app, [queue.name for queue in worker.queues], worker.start())\n"
    )

    run = subprocess.run(
        [sys.executable, "proj.py"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )

    assert run.stdout.endswith("True True ['a', 'b'] 0\n"), run.stderr
    assert "INFO/MainProcess] Connected to sqlite:///" in run.stderr
    assert " ready.\n" in run.stderr


def test_an_option_that_no_worker_has_is_one_line() -> None:
    with pytest.raises(errors.ImproperlyConfigured, match=r"no option 'concurency'; did you mean 'concurrency'\?"):
        make_app().Worker(concurency=2)
