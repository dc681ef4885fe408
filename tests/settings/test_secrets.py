"""One secret, planted wherever one can stand, and searched for in whatever people get to see."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs import Celery
from celery_rs.cli.banner import banner
from celery_rs.cli.output import print_error, print_note
from celery_rs.config import MASK, Settings, censor, is_secret, mask_urls
from tests.apps import make_app
from tests.cli.conftest import Run, Write, project, run, write
from tests.deadlines import DEADLINE_S, eventually

__all__ = ["project", "run", "write"]  # fixtures of the command line's tests

SECRET = "hunter2-s3cret"

NOBODY = "127.0.0.1:1"
"""Where no broker listens."""

SETTINGS = f"""
broker_connection_retry_on_startup = False
redis_password = {SECRET!r}
broker_password = {SECRET!r}
security_key_password = {SECRET.encode()!r}
database_url = "postgresql://scott:{SECRET}@db/results"
mongodb_backend_settings = {{"user": "me", "password": {SECRET!r}}}
s3_secret_access_key = {SECRET!r}
redbeat_redis_url = "redis://:{SECRET}@host:6379/1"
beat_schedule = {{"nightly": {{"task": "t", "kwargs": {{"api_key": {SECRET!r}}}}}}}
task_annotations = {{"*": {{"token": {SECRET!r}}}}}
"""
"""A module of settings; most of them do not work here, so that they are warned of."""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://user:PW@host/0", "redis://user:********@host/0"),
        ("redis://:PW@host", "redis://:********@host"),
        ("amqp://a:PW@h//;amqp://b:PW@h2", "amqp://a:********@h//;amqp://b:********@h2"),
        ("amqp://a:PW@h,amqp://b:PW@h2", "amqp://a:********@h,amqp://b:********@h2"),
        ("redis://u:p@PW/w:rd@h:6379/0", "redis://u:********@h:6379/0"),
        ("redis://u:x://PW@h/0", "redis://u:********@h/0"),
        ("redis://u:a,b://PW@h/0", "redis://u:********@h/0"),
        ("redis://h:6379/0;redis://u:PW@h2/0", "redis://h:6379/0;redis://u:********@h2/0"),
        ("redis://[::1]:6379;redis://u:PW@h2", "redis://[::1]:6379;redis://u:********@h2"),
        ("redis://u:p@1,b://PW@h/0", "redis://u:********@1,b://********@h/0"),
        ("redis://me@h1,redis://h2", "redis://me@h1,redis://h2"),
        ("cannot reach 'redis://u:PW@h/0' (refused)", "cannot reach 'redis://u:********@h/0' (refused)"),
        ("db+postgresql://scott:PW@localhost/mine", "db+postgresql://scott:********@localhost/mine"),
        ("redis://h/0?ssl_keyfile=/x&password=PW", "redis://h/0?ssl_keyfile=/x&password=********"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("sqlite:////home/me@work/a:b.db", "sqlite:////home/me@work/a:b.db"),
        ("no url at all: me@host", "no url at all: me@host"),
    ],
)
def test_urls_keep_all_but_their_passwords(text: str, masked: str) -> None:
    assert mask_urls(text.replace("PW", SECRET)) == masked


def test_a_url_without_its_scheme_keeps_its_password_too() -> None:
    assert censor("broker_url", f"user:{SECRET}@h//") == "user:********@h//"
    assert censor("result_backend", "rpc") == "rpc"


def passwords() -> st.SearchStrategy[str]:
    """Among them those that look like the end of a URL and the begin of the next one."""
    any_of_it = st.text(st.characters(blacklist_categories=("Cs", "Zs", "Cc"), blacklist_characters="'\""), min_size=1)
    hard = st.sampled_from([":", "/", "@", ",", ";", "?", "&", "=", "[", "0", "a", "x://", ",x://", "key="])
    return any_of_it | st.lists(hard, min_size=1, max_size=12).map("".join)


@given(passwords())
def test_no_password_without_spaces_shows(password: str) -> None:
    shown = mask_urls(f"redis://user:{password}<<>>@host/0")

    assert "<<>>" not in shown


@pytest.mark.parametrize(
    "name", ["broker_password", "api_key", "AUTH_TOKEN", "s3_secret_access_key", "signature", "database_url"]
)
def test_names_that_speak_of_secrets_hide_what_they_hold(name: str) -> None:
    for value in (SECRET, SECRET.encode(), 1234, {"a": SECRET}, [SECRET]):
        assert censor(name, value) == MASK
    assert [censor(name, value) for value in (None, True, "")] == [None, True, ""]


@pytest.mark.parametrize(
    "name",
    [
        "task_default_routing_key",
        "redis_socket_keepalive",
        "global_keyprefix",
        "database_table_names",
        "ssl_keyfile",
        "unacked_key",
        "task_queues",
    ],
)
def test_names_that_only_sound_like_it_do_not(name: str) -> None:
    assert not is_secret(name)
    assert censor(name, "shown") == "shown"


def test_tasks_and_queues_may_be_called_anything() -> None:
    routes = {"auth.refresh_token": {"queue": "api-keys", "routing_key": "k"}}

    assert censor("task_routes", routes) == routes
    assert censor("task_routes", [routes]) == [routes]
    assert censor("beat_schedule", {"token": {"kwargs": {"token": SECRET}}}) == {"token": {"kwargs": {"token": MASK}}}


def planted() -> Celery:
    """An app whose broker and store have a password, and as much else as an app can have that works."""
    return make_app(
        broker_url=f"memory://user:{SECRET}@one",
        broker_read_url=f"memory://user:{SECRET}@two",
        result_backend=f"memory://user:{SECRET}@one",
        broker_password=SECRET,
        broker_transport_options={"password": SECRET, "sentinel_kwargs": {"password": SECRET}},
        result_backend_transport_options={"url": f"redis://:{SECRET}@h", "hosts": [f"redis://:{SECRET}@h"]},
        redbeat_redis_url=f"redis://:{SECRET}@h",
    )


def _banner(app: Celery) -> str:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    return click.unstyle(banner(app, "w1@h", concurrency=1, pool="solo", queues=app.queues(), now=now))


@pytest.mark.parametrize(
    "show",
    [
        lambda app: repr(app.conf),
        lambda app: app.conf.humanize(with_defaults=True),
        lambda app: str(app.conf.table()),
        lambda app: app.bugreport(),
        lambda app: f"{app.transport!r} {app.transport.describe()} {app.read_transport.describe()}",
        lambda app: f"{app.backend!r} {app.backend.describe()}",
        lambda app: repr(app),
        _banner,
    ],
)
def test_what_shows_an_app_shows_no_secret(show: Callable[[Celery], str]) -> None:
    shown = show(planted())

    assert SECRET not in shown
    assert shown


def test_what_is_asked_for_uncensored_is_there() -> None:
    assert SECRET in str(planted().conf.table(censored=False))


def _provoke(act: Callable[[], object]) -> str:
    """The error, with all that its traceback prints."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
        return f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    return ""


@pytest.mark.parametrize(
    "act",
    [
        lambda url: make_app(broker_url=url("nonsense")).transport,
        lambda url: make_app(broker_url=url("redis")).transport.queues(),
        lambda url: make_app(broker_url=f"{url('redis')};{url('redis')}").transport.queues(),
        lambda url: make_app(broker_read_url=url("redis")).read_transport.queues(),
        lambda url: make_app(result_backend=url("nonsense")).backend,
        lambda url: make_app(result_backend=url("redis")).backend.fetch(["x"]),
        lambda url: make_app(broker_url="sqlite://" + url("x").partition("://")[2]).transport,
        lambda url: make_app(broker_url=f"sqlite:///x?password={SECRET}").transport,
        lambda url: make_app(result_backend=f"sqlite:///x?password={SECRET}").backend,
        lambda url: make_app(broker_url={"password": SECRET}),
        lambda url: make_app(broker_url=[url("redis"), 3]),
        lambda url: make_app(broker_password=[SECRET]),
        lambda url: make_app(redis_password=SECRET),
        lambda url: make_app(security_key_password=SECRET.encode()),
        lambda url: make_app(result_backend="database", database_url=url("postgresql")).backend.fetch(["x"]),
        lambda url: make_app(result_backend=url("db+mysql+pymysql")).backend.fetch(["x"]),
        lambda url: make_app(result_backend=url("db+nonsense")).backend,
        lambda url: make_app(task_annotations={"*": url("redis")}),
        lambda url: make_app(broker_transport_options=url("redis")),
        lambda url: make_app(borker_url=url("redis")),
        lambda url: Settings().read_from({"broker_url": url("redis"), "CELERY_TIMEZONE": "UTC"}, force=True),
    ],
)
def test_errors_show_no_secret(act: Callable[[Callable[[str], str]], object]) -> None:
    shown = _provoke(lambda: act(lambda scheme: f"{scheme}://user:{SECRET}@{NOBODY}/0"))

    assert shown
    # The lines of this file that a traceback quotes do not hold the secret, only its name.
    assert SECRET not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["-b", f"redis://user:{SECRET}@{NOBODY}/0", "status"],
        ["-b", f"nonsense://user:{SECRET}@{NOBODY}/0", "status"],
        ["-b", f"user:{SECRET}@h//", "status"],
        ["-b", f"sqlite:///x?password={SECRET}", "status"],
        ["-b", "memory://x", "--result-backend", f"redis://user:{SECRET}@{NOBODY}/0", "result", "some-id"],
        ["-b", f"memory://user:{SECRET}@h", "status", "-t", "0.05"],
        ["-b", f"memory://user:{SECRET}@h", "purge", "-f"],
        ["-b", f"redis://user:{SECRET}@{NOBODY}/0", "call", "t"],
        ["-A", "proj", "report"],
        ["-A", "proj", "report", "--json"],
        ["-A", "proj", "check", "--no-workers"],
        ["-A", "proj", "check", "--no-workers", "--json"],
        ["-A", "proj", "status", "-t", "0.05"],
        ["-A", "proj", "list", "bindings"],
        ["-A", "proj", "worker"],
    ],
)
@pytest.mark.filterwarnings("ignore:.*is not supported")
def test_commands_show_no_secret(run: Run, write: Write, arguments: list[str]) -> None:
    write(
        {
            "proj.py": "from celery_rs import Celery\n"
            f"app = Celery('proj', broker='redis://u:{SECRET}@{NOBODY}/0', config_source='settings_of_proj')\n",
            "settings_of_proj.py": SETTINGS,
        }
    )

    result = run(*arguments)

    assert SECRET not in result.output
    assert result.output
    assert "Traceback" not in result.output


def test_what_the_command_line_says_of_an_error_or_beside_it_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("redis://me:PW@h/0 cannot be reached")
    print_note("redis://me:PW@h/0 is away")

    said = capsys.readouterr().err
    assert said.count(f"redis://me:{MASK}@h/0") == 2
    assert "PW" not in said


@pytest.mark.parametrize("variable", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_BROKER_READ_URL"])
def test_the_environment_is_no_way_out(run: Run, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setitem(os.environ, variable, f"redis://user:{SECRET}@{NOBODY}/0")

    for command in (["report"], ["report", "--json"], ["status", "-t", "0.05"], ["call", "t"]):
        assert SECRET not in run(*command).output


def test_a_worker_shows_no_secret_in_its_banner_its_log_and_its_answers(tmp_path: Path) -> None:
    (tmp_path / "settings_of_proj.py").write_text(SETTINGS)
    (tmp_path / "proj.py").write_text(
        "from celery_rs import Celery\n"
        "app = Celery('proj', broker='sqlite:///x.sqlite3', backend='sqlite:///x.sqlite3',"
        " config_source='settings_of_proj')\n"
        "@app.task\ndef fails():\n    raise ValueError('no')\n"
    )
    command = [sys.executable, "-m", "celery_rs", "-A", "proj"]
    places: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": os.getcwd()}, "text": True}
    log = tmp_path / "log"

    def ask(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*command, *words], capture_output=True, timeout=DEADLINE_S, **places)

    with log.open("w") as output:
        worker = subprocess.Popen(
            [*command, "worker", "-c", "1", "-l", "debug"], stdout=output, stderr=output, **places
        )
    try:
        eventually(lambda: " ready." in log.read_text() or worker.poll() is not None)
        ask("call", "proj.fails")
        answers = [ask("inspect", *words) for words in (("conf", "--json"), ("conf",), ("stats",), ("report",))]
        eventually(lambda: "raised unexpected" in log.read_text())
    finally:
        worker.terminate()
        worker.wait(DEADLINE_S)

    assert SECRET not in log.read_text()
    assert SECRET not in "".join(answer.stdout + answer.stderr for answer in answers)
    (conf,) = json.loads(answers[0].stdout).values()
    assert conf["redis_password"] == MASK
    assert conf["database_url"] == MASK
