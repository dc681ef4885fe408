"""Settings: layers, names, checks, secrets."""

import types
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_rs.config import BY_NAME, SETTINGS, Settings
from celery_rs.config.spelling import distance
from celery_rs.errors import ImproperlyConfigured


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.delenv("CELERY_RESULT_BACKEND", raising=False)


def module_of(**names: Any) -> types.ModuleType:
    module = types.ModuleType("some_config")
    module.__dict__.update(names)
    return module


def test_defaults_are_there_by_attribute_and_by_item() -> None:
    conf = Settings()

    assert conf.task_serializer == conf["task_serializer"] == "json"
    assert conf.worker_prefetch_multiplier is None


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_passes_its_own_check(setting: Any) -> None:
    if setting.default is not None:
        assert setting.check(setting.default) == setting.default


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    conf = Settings()

    with pytest.raises(
        ImproperlyConfigured, match=r"unknown setting 'task_serialiser'; did you mean 'task_serializer'\?"
    ):
        conf.task_serialiser = "json"
    with pytest.raises(ImproperlyConfigured, match=r"unknown setting 'borker_url'; did you mean 'broker_url'\?"):
        Settings({"borker_url": "memory://"})
    with pytest.raises(ImproperlyConfigured, match="unknown setting"):
        conf.update(no_such_thing=1)
    with pytest.raises(AttributeError, match="unknown setting"):
        _ = conf.no_such_thing


def test_unknown_names_are_warnings_where_config_is_not_strict() -> None:
    with pytest.warns(UserWarning, match="unknown setting 'task_serialiser'"):
        conf = Settings({"strict_config": False, "task_serialiser": "json"})

    assert "task_serialiser" not in conf


def test_an_update_with_one_mistake_changes_nothing() -> None:
    conf = Settings()

    with pytest.raises(ImproperlyConfigured):
        conf.update(task_acks_late=True, task_default_rate_limit="many")

    assert conf.task_acks_late is False


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("task_default_rate_limit", "10/y", "task_default_rate_limit must be a rate such as '10/m'"),
        ("task_routes", 3, "task_routes must be a dict of task name or pattern to queue or options"),
        ("task_routes", {"a.*": 3}, "task_routes must be a queue name or a dict of options for 'a.*', not 3"),
        ("task_acks_late", "perhaps", "task_acks_late must be True or False, got 'perhaps'"),
        ("task_time_limit", -1, "task_time_limit must be seconds, not below 0, got -1"),
        ("task_time_limit", float("nan"), "task_time_limit must be a number, got nan"),
        ("result_expires", float("inf"), "result_expires must be a number, got inf"),
        ("result_expires", "inf", "result_expires must be a number, got 'inf'"),
        ("task_annotations", {"*": 5}, "task_annotations must be a dict of task name to attributes"),
        ("worker_concurrency", 0, "worker_concurrency must be a whole number from 1 up, got 0"),
        ("accept_content", 5, "accept_content must be a list of strings, got 5"),
        (
            "timezone",
            "Mars/Olympus",
            "timezone must be the name of a time zone such as 'Europe/Oslo', got 'Mars/Olympus'",
        ),
        (
            "accept_content",
            ["morse"],
            "accept_content must be a list of serializers or content types (unknown serializer 'morse', expected ",
        ),
        (
            "task_serializer",
            "morse",
            "task_serializer must be the name of a serializer (unknown serializer 'morse', expected one of 'json', ",
        ),
        ("worker_pool", "gevnt", "worker_pool must be one of 'prefork', 'processes', 'solo', got 'gevnt'"),
    ],
)
def test_values_are_checked_where_they_are_set(name: str, value: object, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        Settings({name: value})

    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_values_are_kept_as_the_rest_expects_them() -> None:
    conf = Settings(
        {"result_expires": timedelta(hours=1), "accept_content": ["json"], "imports": "a, b", "task_acks_late": "yes"}
    )

    assert (conf.result_expires, conf.accept_content, conf.imports) == (3600.0, ("json",), ("a", "b"))
    assert conf.task_acks_late is True


def test_none_is_the_default_unless_it_means_never_or_for_ever() -> None:
    conf = Settings({"result_expires": None, "broker_connection_max_retries": None, "task_default_queue": None})

    assert (conf.result_expires, conf.broker_connection_max_retries) == (None, None)
    assert conf.task_default_queue == "celery"


def test_the_environment_is_stronger_than_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://environment")

    assert Settings({"broker_url": "memory://set"}).broker_url == "memory://environment"


def test_what_was_set_is_stronger_than_the_source_and_that_than_added_defaults() -> None:
    conf = Settings({"task_default_queue": "set"})

    conf.add_defaults({"task_default_queue": "default", "control_exchange": "default", "task_serializer": "json"})
    conf.read_from({"task_default_queue": "source", "control_exchange": "source"})

    assert (conf.task_default_queue, conf.control_exchange) == ("set", "source")


def test_a_source_is_read_at_the_first_lookup_only() -> None:
    conf = Settings()
    conf.read_from("no.such.module")
    conf.task_acks_late = True

    with pytest.raises(ImproperlyConfigured, match=r"configuration 'no\.such\.module' cannot be loaded"):
        _ = conf.task_acks_late


def test_a_missing_source_may_be_passed_over() -> None:
    conf = Settings()

    conf.read_from("no.such.module", silent=True)

    assert conf.task_serializer == "json"


def test_a_modules_own_names_are_no_settings() -> None:
    conf = Settings()
    module = module_of(broker_url="memory://m", os=object(), DEBUG=True, task_helper=3)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conf.read_from(module, force=True)

    assert conf.broker_url == "memory://m"


def test_a_modules_near_miss_is_a_warning() -> None:
    conf = Settings()

    with pytest.warns(UserWarning, match="'task_serialiser' is not a setting; did you mean 'task_serializer'?"):
        conf.read_from(module_of(task_serialiser="json"), force=True)


def test_old_and_upper_case_names_are_read() -> None:
    conf = Settings()

    conf.read_from(
        {"CELERY_DEFAULT_QUEUE": "old", "BROKER_URL": "memory://upper", "CELERYD_CONCURRENCY": 3}, force=True
    )

    assert (conf.task_default_queue, conf.broker_url, conf.worker_concurrency) == ("old", "memory://upper", 3)


def test_one_setting_by_two_names_is_the_one_of_the_style_that_most_names_have() -> None:
    conf = Settings()

    with pytest.warns(UserWarning, match="'task_default_queue' and 'CELERY_DEFAULT_QUEUE' are one setting with two"):
        conf.read_from({"task_default_queue": "a", "CELERY_DEFAULT_QUEUE": "b", "BROKER_URL": "memory://"}, force=True)

    assert conf.task_default_queue == "b"


def test_old_and_new_names_are_not_mixed() -> None:
    conf = Settings()

    conf.read_from({"task_default_queue": "a", "broker_url": "memory://", "CELERY_TASK_SERIALIZER": "json"})
    with pytest.raises(ImproperlyConfigured, match=r"mixed: rename CELERY_TASK_SERIALIZER to task_serializer$"):
        _ = conf.task_default_queue

    conf.read_from(
        {"broker_url": "m", "CELERYD_POOL": "solo", "CELERY_QUEUES": [], "task_routes": {}, "BROKER_HOST": "h"}
    )
    with pytest.raises(ImproperlyConfigured, match=r"rename broker_url to BROKER_URL, task_routes to CELERY_ROUTES$"):
        _ = conf.task_default_queue


def test_a_modules_upper_case_names_are_its_own_unless_celery_had_them() -> None:
    conf = Settings()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conf.read_from(
            module_of(DATABASE_URL="pg://", S3_BUCKET="b", TIMEZONE="Mars", broker_url="memory://"), force=True
        )

    assert conf.without_defaults() == {"broker_url": "memory://"}


def test_names_of_both_styles_may_stand_side_by_side() -> None:
    conf = Settings()

    conf.read_from(module_of(task_serializer="json", CELERY_TASK_SERIALIZER="json", imports=["a"]), force=True)

    assert conf.task_serializer == "json"
    assert conf.deprecated_settings == ("CELERY_TASK_SERIALIZER",)


def test_a_namespace_leaves_other_names_alone_and_checks_its_own() -> None:
    conf = Settings()
    module = module_of(CELERY_TASK_DEFAULT_QUEUE="q", SECRET_KEY="x", CELERY_BROKER_URL="memory://n")
    conf.read_from(module, namespace="CELERY")

    assert (conf.task_default_queue, conf.broker_url) == ("q", "memory://n")

    conf.read_from({"CELERY_TASK_DEFAULT_QEUE": "q"}, namespace="CELERY")
    with pytest.raises(ImproperlyConfigured, match=r"did you mean 'task_default_queue'\?"):
        _ = conf.task_default_queue


@pytest.mark.parametrize(
    ("name", "meant"),
    [("CELERY_TASK_DEFAULT_QEUE", "CELERY_TASK_DEFAULT_QUEUE"), ("CELERY_ROUTES", "CELERY_TASK_ROUTES")],
)
def test_a_near_miss_or_an_old_name_inside_a_namespace_is_a_warning(name: str, meant: str) -> None:
    conf = Settings()

    with pytest.warns(UserWarning, match=f"'{name}' is not a setting; did you mean '{meant}'?"):
        conf.read_from(module_of(**{name: "q", "CELERY_OF_THE_PROJECT": 1}), namespace="CELERY", force=True)


def test_a_name_of_the_namespace_that_is_no_setting_is_a_complaint_for_whoever_asks() -> None:
    conf = Settings()

    conf.read_from(module_of(CELERY_OF_THE_PROJECT=1), namespace="CELERY", force=True)

    assert [complaint.what for complaint in conf.complaints] == ["'CELERY_OF_THE_PROJECT' is not a setting"]


def test_a_namespace_in_lower_case_has_names_in_lower_case() -> None:
    conf = Settings()

    conf.read_from({"queue_task_default_queue": "q", "QUEUE_TASK_SERIALIZER": "json"}, namespace="queue", force=True)

    assert conf.task_default_queue == "q"
    assert not conf.is_set("task_serializer")


def test_every_change_raises_the_version() -> None:
    conf = Settings()
    before = conf.version

    conf.task_acks_late = True

    assert conf.version > before


def test_secrets_are_masked_where_settings_are_shown() -> None:
    conf = Settings(
        {
            "broker_url": "redis://user:hunter2@host/0",
            "result_backend_transport_options": {"password": "hunter2", "nested": ["redis://:hunter2@host"]},
            "task_default_routing_key": "shown",
        }
    )

    shown = repr(conf)

    assert "hunter2" not in shown
    assert "redis://user:********@host/0" in shown
    assert "shown" in shown
    assert "hunter2" in str(conf.table(censored=False))


def test_only_what_was_set_is_in_the_table() -> None:
    conf = Settings({"task_acks_late": False})

    assert conf.table() == {"task_acks_late": False}
    assert conf.is_set("task_acks_late")
    assert not conf.is_set("task_serializer")
    assert conf.table(with_defaults=True).keys() == BY_NAME.keys()


def test_settings_are_a_mapping() -> None:
    conf = Settings()

    assert isinstance(conf, Mapping)
    assert dict(conf)["task_serializer"] == "json"
    assert "task_serializer" in conf
    assert "CELERY_TASK_SERIALIZER" in conf
    assert "nothing" not in conf


def oracle(a: str, b: str) -> int:
    """Optimal string alignment, the textbook way."""
    table = [[i + j if i * j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(0, 8))
def test_edits_are_counted_as_the_textbook_counts_them(a: str, b: str, limit: int) -> None:
    assert distance(a, b, limit) == min(oracle(a, b), limit + 1)
