"""`app.conf` as Celery's users know it: its methods, what they read, and what they leave unread."""

import builtins
import os
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_rs.config import BY_NAME, MASK, Settings, from_words, register_prefix
from celery_rs.config import extensions as registered
from celery_rs.errors import ImproperlyConfigured, UnknownSetting
from tests.apps import make_app
from tests.deadlines import DEADLINE_S

ABSENT = "no.such.module"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_CONFIG_MODULE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_prefixes", ["redbeat_"])


def unread() -> Settings:
    """Settings whose source cannot be read: looking one up raises."""
    conf = Settings()
    conf.read_from(ABSENT)
    return conf


def test_asking_and_writing_do_not_read_the_source() -> None:
    conf = unread()

    conf.update(task_acks_late=True)
    conf["timezone"] = "UTC"
    conf.setdefault("task_default_queue", "mine")
    conf.add_defaults({"control_exchange": "x"})
    conf.add_defaults(lambda: {"control_exchange": "y"})

    assert "task_serializer" in conf
    assert "CELERY_TASK_SERIALIZER" in conf
    assert "no_such_thing" not in conf
    assert conf.changes == {"task_acks_late": True, "timezone": "UTC", "task_default_queue": "mine"}
    assert not conf.was_read


@pytest.mark.parametrize(
    "read",
    [
        lambda conf: conf.task_serializer,
        lambda conf: conf["task_serializer"],
        lambda conf: conf.get("task_serializer"),
        lambda conf: conf.finalize(),
        lambda conf: conf.table(),
        len,
        list,
        repr,
    ],
)
def test_reading_anything_reads_the_source(read: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'no\.such\.module' cannot be loaded"):
        read(unread())


def test_a_default_is_set_where_nobody_has() -> None:
    conf = Settings({"timezone": "UTC"})

    assert conf.setdefault("timezone", "Europe/Oslo") == "UTC"
    assert conf.setdefault("task_default_queue", "mine") == "mine"
    assert conf.task_default_queue == "mine"


def test_what_was_set_can_be_taken_back() -> None:
    conf = Settings({"task_default_queue": "a", "timezone": "UTC"})

    del conf["task_default_queue"]
    assert conf.task_default_queue == "celery"
    assert conf.pop("timezone") == "UTC"
    assert conf.timezone is None
    conf.task_acks_late = True
    conf.clear()
    assert conf.without_defaults() == {}


def test_a_copy_goes_its_own_way() -> None:
    conf = Settings({"task_default_queue": "a"})
    conf.add_defaults({"control_exchange": "x"})

    other = conf.copy()
    other.task_default_queue = "b"

    assert (conf.task_default_queue, other.task_default_queue, other.control_exchange) == ("a", "b", "x")


def test_defaults_may_come_from_a_function_at_the_first_lookup_and_the_first_ones_win() -> None:
    conf, calls = Settings(), []

    def late() -> dict[str, str]:
        calls.append("called")
        return {"control_exchange": "late", "task_default_queue": "late"}

    conf.add_defaults({"task_default_queue": "early"})
    conf.add_defaults(late)
    assert calls == []

    assert (conf.control_exchange, conf.task_default_queue) == ("late", "early")
    assert conf.control_exchange == "late"
    assert calls == ["called"]


def test_without_defaults_there_is_what_somebody_set() -> None:
    conf = Settings({"task_acks_late": False})
    conf.add_defaults({"control_exchange": "x"})
    conf.read_from({"timezone": "UTC"})

    assert conf.without_defaults() == {"task_acks_late": False, "control_exchange": "x", "timezone": "UTC"}
    assert conf.value_set_for("task_acks_late")
    assert not conf.value_set_for("task_serializer")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("worker_concurrency",), ("worker", "concurrency")),
        (("concurrency",), ("worker", "concurrency")),
        (("concurrency", "worker"), ("worker", "concurrency")),
        (("CONCURRENCY", "task"), ("worker", "concurrency")),
        (("timezone",), ("", "timezone")),
    ],
)
def test_an_option_is_found_by_part_of_its_name(arguments: tuple[str, ...], found: tuple[str, str]) -> None:
    option = Settings().find_option(*arguments)

    assert (option.namespace, option.key) == found
    assert option.setting is BY_NAME["_".join(part for part in found if part)]


def test_values_are_found_by_parts_and_by_part_of_a_name() -> None:
    conf = Settings({"worker_concurrency": 3})

    assert conf.get_by_parts("worker", "concurrency") == conf.find_value_for_key("concurrency", "worker") == 3
    assert conf.get_by_parts("", "timezone") is None
    with pytest.raises(UnknownSetting, match="unknown setting 'concurency'"):
        conf.find_option("concurency")


def test_a_name_that_is_none_is_a_missing_key() -> None:
    conf = Settings()

    assert conf.get("no_such_thing") is None
    assert conf.get("no_such_thing", 3) == 3
    with pytest.raises(KeyError) as caught:
        _ = conf["task_serialiser"]
    assert str(caught.value) == "unknown setting 'task_serialiser'; did you mean 'task_serializer'?"
    assert not hasattr(conf, "no_such_thing")


def test_settings_are_shown_line_by_line() -> None:
    conf = Settings({"task_default_queue": "q", "broker_password": "hunter2", "task_acks_late": True})

    assert sorted(conf.humanize().splitlines()) == [
        f"broker_password: {MASK!r}",
        "task_acks_late: True",
        "task_default_queue: 'q'",
    ]
    assert "hunter2" in conf.humanize(False, False)
    assert "task_serializer: 'json'" in conf.humanize(with_defaults=True).splitlines()
    assert conf.table(True).keys() == BY_NAME.keys()


def test_a_first_lookup_that_failed_is_tried_again() -> None:
    conf = Settings()
    fails = [KeyError("before"), KeyError("defaults")]

    def before() -> None:
        if len(fails) == 2:
            raise fails.pop(0)
        conf.read_from({"task_default_queue": "mine"})

    def defaults() -> dict[str, Any]:
        if fails:
            raise fails.pop(0)
        return {"control_exchange": "x"}

    conf.on_first_reading(before, lambda: None)
    conf.add_defaults(defaults)

    for cause in ("before", "defaults"):
        with pytest.raises(KeyError, match=cause):
            _ = conf.timezone
        assert not conf.was_read
    assert (conf.task_default_queue, conf.control_exchange) == ("mine", "x")


def test_first_lookups_of_settings_and_of_tasks_in_two_threads_do_not_wait_for_each_other() -> None:
    app = make_app()
    inside, go_on = threading.Event(), threading.Event()

    @app.task(name="t")
    def t() -> None: ...

    def configured(**_: Any) -> None:
        inside.set()
        go_on.wait(DEADLINE_S)
        assert t.name == "t"

    app.on_configure.connect(configured, weak=False)
    looks = threading.Thread(target=lambda: app.conf.timezone, daemon=True)
    uses = threading.Thread(target=lambda: app.tasks, daemon=True)
    looks.start()
    assert inside.wait(DEADLINE_S)
    uses.start()
    uses.join(0.05)  # time to take whatever it takes first
    go_on.set()

    for thread in (looks, uses):
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def test_a_forked_child_looks_up_settings_though_another_thread_was_doing_so() -> None:
    app = make_app()
    inside, go_on = threading.Event(), threading.Event()

    def configured(**_: Any) -> None:
        inside.set()
        go_on.wait(DEADLINE_S)

    app.on_after_configure.connect(configured, weak=False)
    looks = threading.Thread(target=lambda: app.conf.timezone)
    looks.start()
    assert inside.wait(DEADLINE_S)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        app.conf.task_default_queue = "mine"
        os._exit(app.conf.task_default_queue != "mine")
    status = os.waitpid(pid, 0)[1]
    go_on.set()
    looks.join()

    assert os.waitstatus_to_exitcode(status) == 0


def test_the_signals_of_an_app_come_around_the_first_lookup() -> None:
    conf, told = Settings(), []

    def before() -> None:
        told.append("before")
        conf.read_from({"task_default_queue": "named late"})

    def after() -> None:
        told.append(conf.task_default_queue)
        conf.control_exchange = "set late"

    conf.on_first_reading(before, after)
    assert told == []

    assert conf.control_exchange == "set late"
    assert conf.task_default_queue == "named late"
    assert told == ["before", "named late"]


@pytest.mark.parametrize("name", ["worker_timer", "result_cache_max", "security_key"])
def test_what_does_not_work_is_refused_by_name_where_it_is_set(name: str) -> None:
    row = BY_NAME[name]
    for set_it in (Settings, lambda change: Settings().update(change), lambda change: setattr(Settings(), name, 5)):
        with pytest.raises(ImproperlyConfigured) as caught:
            set_it({name: 5})
        assert str(caught.value).startswith(f"{name} is not supported")
        assert row.why in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_does_not_work_may_be_left_as_it_is() -> None:
    conf = Settings({"worker_timer": None, "broker_heartbeat": 120, "event_queue_ttl": 5})

    assert (conf.worker_timer, conf.broker_heartbeat, conf.event_queue_ttl) == (None, 120, 5)


def test_what_does_not_work_is_a_warning_from_a_module_and_is_kept() -> None:
    module = types.ModuleType("settings")
    module.__dict__.update(worker_timer="x", task_default_queue="q")
    conf = Settings()

    with pytest.warns(UserWarning, match="^worker_timer is not supported: the worker has no timer"):
        conf.read_from(module, force=True)

    assert (conf.worker_timer, conf.task_default_queue) == ("x", "q")
    assert [complaint.change for complaint in conf.complaints] == ["delete worker_timer"]


def test_what_does_not_work_is_a_warning_where_config_is_not_strict() -> None:
    with pytest.warns(UserWarning, match="^worker_timer is not supported"):
        conf = Settings({"strict_config": False, "worker_timer": "x"})

    assert conf.worker_timer == "x"


@pytest.mark.usefixtures("prefixes")
def test_settings_of_known_extensions_pass() -> None:
    conf = Settings({"redbeat_redis_url": "redis://h"})
    module = types.ModuleType("settings")
    module.__dict__.update(REDBEAT_LOCK_TIMEOUT=3)
    conf.read_from(module)

    assert conf.redbeat_redis_url == conf["REDBEAT_REDIS_URL"] == "redis://h"
    assert conf.redbeat_lock_timeout == 3
    assert conf.get("redbeat_key_prefix") is None
    assert not hasattr(conf, "redbeat_key_prefix")
    assert "redbeat_redis_url" in conf
    assert "redbeat_key_prefix" not in conf


@pytest.mark.usefixtures("prefixes")
def test_an_extension_may_register_the_prefix_of_its_settings() -> None:
    with pytest.raises(ImproperlyConfigured, match="unknown setting 'once_settings'"):
        Settings({"once_settings": {}})

    register_prefix("ONCE_")
    register_prefix("once_")

    assert Settings({"once_settings": {"a": 1}}).ONCE_settings == {"a": 1}
    with pytest.raises(ValueError, match="expected a prefix"):
        register_prefix("")


def test_a_namespace_holds_settings_of_extensions_too() -> None:
    conf = Settings()

    conf.read_from({"CELERY_REDBEAT_LOCK_KEY": "k"}, namespace="CELERY", force=True)

    assert conf.redbeat_lock_key == "k"


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["worker.concurrency=4"], {"worker_concurrency": "4"}),
        ([".concurrency=4"], {"worker_concurrency": "4"}),
        (["_concurrency=(int)4"], {"worker_concurrency": 4}),
        (["TASK.ACKS_LATE=(bool)yes"], {"task_acks_late": True}),
        (['task_routes=(json){"a": "b"}'], {"task_routes": {"a": "b"}}),
        (['imports=(list)["a"]', "task.time_limit=(float)1.5"], {"imports": ["a"], "task_time_limit": 1.5}),
        (["broker_url=redis://h/0?a=b"], {"broker_url": "redis://h/0?a=b"}),
        (["task.default_queue=(not a type)"], {"task_default_queue": "(not a type)"}),
        (["task.default_queue="], {"task_default_queue": ""}),
    ],
)
def test_words_of_a_command_line_are_settings(words: list[str], settings: dict[str, Any]) -> None:
    assert from_words(words, "worker") == settings


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("nothing", r"expected a setting such as 'worker\.concurrency=4', got 'nothing'"),
        ("=4", r"expected a setting such as"),
        ("worker.concurrency=(integer)4", r"worker_concurrency must be of one of the types json, .*, got \(integer\)"),
        ("worker.concurrency=(int)four", r"worker_concurrency cannot be read as int: a whole number"),
        ("task.routes=(json){", r"task_routes cannot be read as json: "),
    ],
)
def test_words_that_are_no_settings_are_one_line(word: str, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{complaint}") as caught:
        from_words([word])
    assert "\n" not in str(caught.value)


def test_an_app_takes_settings_from_words() -> None:
    app = make_app()

    app.config_from_cmdline(["worker.concurrency=4", ".max_tasks_per_child=9"], namespace="worker")

    assert (app.conf.worker_concurrency, app.conf.worker_max_tasks_per_child) == (4, 9)


@pytest.fixture
def celeryconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "celeryconfig.py"
    sys.modules.pop("celeryconfig", None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("raise ValueError('boom')", "it raises ValueError: boom; correct that first"),
        ("task_serializer = 'no-such-serializer'", "task_serializer must be "),
    ],
)
def test_a_source_that_may_be_missing_may_not_be_wrong(celeryconfig: Path, text: str, complaint: str) -> None:
    celeryconfig.write_text(text)
    conf = Settings()
    conf.read_from("celeryconfig", silent=True)

    with pytest.raises(ImproperlyConfigured, match=complaint):
        conf.finalize()


@pytest.mark.parametrize(
    "path", ["celeryconfig", "celeryconfig:Development", "celeryconfig.Development", "celeryconfig:settings"]
)
def test_a_source_is_a_module_a_class_or_a_mapping_by_its_path(celeryconfig: Path, path: str) -> None:
    celeryconfig.write_text(
        "task_default_queue = 'q'\n"
        "class Development:\n    task_default_queue = 'q'\n"
        "settings = {'task_default_queue': 'q'}\n"
    )
    app = make_app()

    app.config_from_object(path)

    assert app.conf.task_default_queue == "q"


def test_the_environment_names_a_module_for_an_app_that_names_none(
    celeryconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    celeryconfig.write_text("task_default_queue = 'of the environment'\n")
    monkeypatch.setenv("CELERY_CONFIG_MODULE", "celeryconfig")

    assert make_app().conf.task_default_queue == "of the environment"
    assert make_app(config_source={"timezone": "UTC"}).conf.task_default_queue == "celery"


def test_the_environment_is_stronger_by_item_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "memory://environment")

    conf = Settings({"result_backend": "memory://set"})

    assert conf["result_backend"] == conf.result_backend == "memory://environment"


def test_a_source_that_asks_for_settings_while_it_is_read_sees_those_there_are(celeryconfig: Path) -> None:
    celeryconfig.write_text("import builtins\nseen = builtins._conf.task_serializer\ntask_default_queue = 'q'\n")
    conf = Settings()
    conf.read_from("celeryconfig")

    builtins._conf = conf  # type: ignore[attr-defined]  # how the module under test reaches it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert conf.task_default_queue == "q"
    finally:
        del builtins._conf  # type: ignore[attr-defined]


def test_a_module_of_settings_can_be_run_to_see_whether_it_is_sound(celeryconfig: Path) -> None:
    celeryconfig.write_text("broker_url = 'sqlite:///x'\ntask_routes = {'a': 'b'\n")
    broken = subprocess.run([sys.executable, "-m", "celeryconfig"], cwd=celeryconfig.parent, capture_output=True)
    celeryconfig.write_text("broker_url = 'sqlite:///x'\ntask_routes = {'a': 'b'}\n")
    sound = subprocess.run([sys.executable, "-m", "celeryconfig"], cwd=celeryconfig.parent, capture_output=True)

    assert broken.returncode != 0
    assert (sound.returncode, sound.stdout) == (0, b"")
