"""The façade: where things are, what a fork forgets, what is public."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import celery_rs
from celery_rs import Celery, errors
from celery_rs.context import current_app
from tests.apps import make_app


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
    assert celery_rs.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="has no attribute 'Celry'"):
        _ = importlib.import_module("celery_rs").Celry
