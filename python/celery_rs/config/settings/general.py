"""Settings of the app as a whole."""

from celery_rs.config import checks
from celery_rs.config.settings.row import Setting, flag, names

GENERAL = (
    Setting(
        "accept_content",
        "list",
        checks.contents,
        ("json",),
        "CELERY_ACCEPT_CONTENT",
        "serializers or content types that a worker reads",
        proof="tests/unit/test_serializers.py::test_a_worker_reads_what_the_setting_accepts_and_nothing_else",
    ),
    Setting(
        "result_accept_content",
        "list",
        checks.result_contents,
        None,
        "=",
        "the same for results; None follows accept_content",
        proof="tests/unit/test_result_records.py::test_results_of_another_content_type_are_refused",
    ),
    flag(
        "enable_utc",
        True,
        "=",
        "times in messages are UTC unless timezone says otherwise; off is the local zone",
        proof="tests/unit/test_publisher.py::test_times_are_local_where_utc_is_off",
    ),
    Setting(
        "timezone",
        "string",
        checks.timezone,
        None,
        "CELERY_TIMEZONE",
        "zone of times in messages; None is UTC",
        proof="tests/unit/test_publisher.py::test_times_are_written_in_the_apps_zone",
    ),
    names(
        "imports",
        (),
        "CELERY_IMPORTS",
        "modules that the worker imports at start",
        proof="tests/settings/test_worker_effects.py::test_imports_and_include_are_imported_by_the_worker",
    ),
    names(
        "include",
        (),
        "CELERY_INCLUDE",
        "more modules that the worker imports at start",
        proof="tests/settings/test_worker_effects.py::test_imports_and_include_are_imported_by_the_worker",
    ),
    flag(
        "strict_config",
        True,
        "",
        "unknown settings are errors; off makes them warnings",
        proof="tests/unit/test_conf.py::test_unknown_names_are_warnings_where_config_is_not_strict",
    ),
)
