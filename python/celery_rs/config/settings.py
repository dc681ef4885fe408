"""The table of settings: one row each, from which lookups, checks, old names and documentation are made.

To add a setting, add a row. `old` is its name before Celery 4, `=` is the upper-cased new one; every setting may
be None unless its default says otherwise, and None means what the help says.
"""

from typing import Any, NamedTuple

from celery_rs.config import checks
from celery_rs.config.checks import Check


class Setting(NamedTuple):
    """`check` returns the value to keep or raises ValueError saying what was expected; `type` is for people."""

    name: str
    type: str
    check: Check
    default: Any
    old: str
    help: str

    @property
    def upper(self) -> str:
        """The name in upper case: Celery reads that too."""
        return self.name.upper()


_FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
_TASK_FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s"
_RETRY_POLICY = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}


def _flag(name: str, default: bool | None, old: str, help: str) -> Setting:
    return Setting(name, "bool", checks.flag, default, old, help)


def _text(name: str, default: str | None, old: str, help: str) -> Setting:
    return Setting(name, "string", checks.text, default, old, help)


def _whole(name: str, least: int, default: int | None, old: str, help: str) -> Setting:
    return Setting(name, "int", checks.at_least(least), default, old, help)


def _seconds(name: str, default: float | None, old: str, help: str) -> Setting:
    return Setting(name, "seconds", checks.seconds, default, old, help)


def _names(name: str, default: tuple[str, ...] | None, old: str, help: str) -> Setting:
    return Setting(name, "list", checks.names, default, old, help)


def _dict(name: str, default: dict[str, Any], old: str, help: str) -> Setting:
    return Setting(name, "dict", checks.mapping, default, old, help)


def _choice(name: str, allowed: tuple[Any, ...], default: Any, old: str, help: str) -> Setting:
    return Setting(name, "choice", checks.one_of(*allowed), default, old, help)


GENERAL = (
    Setting(
        "accept_content",
        "list",
        checks.contents,
        ("json",),
        "CELERY_ACCEPT_CONTENT",
        "serializers or content types that a worker reads",
    ),
    _flag("enable_utc", True, "=", "times in messages are UTC unless timezone says otherwise; off is the local zone"),
    Setting("timezone", "string", checks.timezone, None, "CELERY_TIMEZONE", "zone of times in messages; None is UTC"),
    _names("imports", (), "CELERY_IMPORTS", "modules that the worker imports at start"),
    _names("include", (), "CELERY_INCLUDE", "more modules that the worker imports at start"),
    _flag("strict_config", True, "", "unknown settings are errors; off makes them warnings"),
)

TASK_MESSAGE = (
    _choice("task_serializer", ("json",), "json", "CELERY_TASK_SERIALIZER", "serializer of arguments"),
    _flag("task_publish_retry", True, "CELERY_TASK_PUBLISH_RETRY", "try again when the broker cannot be reached"),
    _dict(
        "task_publish_retry_policy",
        _RETRY_POLICY,
        "CELERY_TASK_PUBLISH_RETRY_POLICY",
        "max_retries, interval_start, interval_step, interval_max (seconds)",
    ),
    _whole("task_repr_maxlevels", 1, 3, "CELERY_REPR_MAXLEVELS", "nesting shown in argsrepr and kwargsrepr"),
)

TASK_EXECUTION = (
    Setting(
        "task_annotations", "any", checks.annotations, None, "CELERY_ANNOTATIONS", "attributes to set on tasks, by name"
    ),
    _flag("task_ignore_result", False, "CELERY_IGNORE_RESULT", "store no results"),
    _flag(
        "task_store_errors_even_if_ignored",
        False,
        "CELERY_STORE_ERRORS_EVEN_IF_IGNORED",
        "store failures although results are ignored",
    ),
    _flag("task_track_started", False, "CELERY_TRACK_STARTED", "store STARTED when a task starts"),
    _seconds("task_time_limit", None, "CELERYD_TASK_TIME_LIMIT", "hard limit: the process is killed"),
    _seconds("task_soft_time_limit", None, "CELERYD_TASK_SOFT_TIME_LIMIT", "soft limit: an exception in the task"),
    _flag("task_acks_late", False, "CELERY_ACKS_LATE", "acknowledge after the run instead of at its start"),
    _flag(
        "task_acks_on_failure_or_timeout",
        True,
        "CELERY_ACKS_ON_FAILURE_OR_TIMEOUT",
        "late acknowledgement: acknowledge failed and timed-out tasks",
    ),
    _flag("task_acks_on_failure", None, "CELERY_ACKS_ON_FAILURE", "the same for failures; None follows the joint one"),
    _flag("task_acks_on_timeout", None, "CELERY_ACKS_ON_TIMEOUT", "the same for timeouts; None follows the joint one"),
    _flag(
        "task_reject_on_worker_lost",
        None,
        "CELERY_REJECT_ON_WORKER_LOST",
        "late acknowledgement: run again when the process died",
    ),
    Setting(
        "task_default_rate_limit",
        "rate",
        checks.rate,
        None,
        "CELERY_DEFAULT_RATE_LIMIT",
        "rate of tasks that set none, such as '10/m'",
    ),
    _whole("task_default_priority", 0, None, "CELERY_DEFAULT_PRIORITY", "priority of tasks that set none"),
    _flag(
        "task_inherit_parent_priority",
        False,
        "CELERY_INHERIT_PARENT_PRIORITY",
        "tasks sent by a task take its priority",
    ),
    _whole("task_max_crashes", 1, 3, "", "a task that killed its process this often becomes a dead letter"),
    _whole("task_max_deliveries", 1, 20, "", "a message delivered this often becomes a dead letter"),
)

ROUTING = (
    Setting("task_queues", "queues", checks.queues, None, "CELERY_QUEUES", "the queues; None is the default queue"),
    Setting("task_routes", "routes", checks.routes, None, "CELERY_ROUTES", "which task goes to which queue"),
    _flag("task_create_missing_queues", True, "CELERY_CREATE_MISSING_QUEUES", "make queues that task_queues lacks"),
    _text("task_default_queue", "celery", "CELERY_DEFAULT_QUEUE", "the default queue"),
    _text("task_default_exchange", None, "CELERY_DEFAULT_EXCHANGE", "its exchange; None is named like the queue"),
    _choice(
        "task_default_exchange_type",
        ("direct", "topic", "fanout", "headers"),
        "direct",
        "CELERY_DEFAULT_EXCHANGE_TYPE",
        "type of exchanges that name none",
    ),
    _text("task_default_routing_key", None, "CELERY_DEFAULT_ROUTING_KEY", "None is the queue's name"),
    _choice(
        "task_default_delivery_mode",
        (1, 2, "transient", "persistent"),
        2,
        "CELERY_DEFAULT_DELIVERY_MODE",
        "2 is persistent, 1 transient",
    ),
    _whole("task_queue_max_priority", 0, None, "CELERY_QUEUE_MAX_PRIORITY", "x-max-priority of every queue"),
)

BROKER = (
    _text("broker_url", None, "=", "where messages go; None is an SQLite file beside the app's module"),
    _dict("broker_transport_options", {}, "=", "options of the transport"),
    _text("control_exchange", "celery", "=", "base name of the exchanges of remote control"),
)

RESULTS = (
    _text("result_backend", None, "CELERY_RESULT_BACKEND", "where results go; None keeps none once a broker is named"),
    _choice("result_serializer", ("json",), "json", "CELERY_RESULT_SERIALIZER", "serializer of results"),
    _seconds("result_expires", 86400, "CELERY_TASK_RESULT_EXPIRES", "seconds or a timedelta; 0 or None keeps them"),
    _flag("result_extended", False, "CELERY_RESULT_EXTENDED", "also store name, arguments, worker, retries, queue"),
    _dict("result_backend_transport_options", {}, "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS", "options of the store"),
)

WORKER = (
    Setting(
        "worker_concurrency",
        "int",
        checks.concurrency,
        None,
        "CELERYD_CONCURRENCY",
        "tasks that run at once; None is the number of processors",
    ),
    _choice("worker_pool", ("prefork", "processes", "solo"), "prefork", "CELERYD_POOL", "what runs tasks"),
    _whole(
        "worker_prefetch_multiplier",
        0,
        None,
        "CELERYD_PREFETCH_MULTIPLIER",
        "messages held per process; None adapts to how long tasks take, 0 is no bound",
    ),
    _flag("worker_disable_rate_limits", False, "CELERY_DISABLE_RATE_LIMITS", "ignore all rate limits"),
    _whole(
        "worker_max_tasks_per_child", 1, None, "CELERYD_MAX_TASKS_PER_CHILD", "replace a process after so many tasks"
    ),
    _flag("worker_enable_remote_control", True, "CELERY_ENABLE_REMOTE_CONTROL", "listen to remote control"),
    _flag("worker_hijack_root_logger", True, "CELERYD_HIJACK_ROOT_LOGGER", "replace the root logger's handlers"),
    _flag("worker_log_color", None, "CELERYD_LOG_COLOR", "colours in logs; None is on a terminal only"),
    _text("worker_log_format", _FORMAT, "CELERYD_LOG_FORMAT", "format of log lines"),
    _text("worker_task_log_format", _TASK_FORMAT, "CELERYD_TASK_LOG_FORMAT", "format of log lines of tasks"),
)

SETTINGS: tuple[Setting, ...] = (
    *GENERAL,
    *TASK_MESSAGE,
    *TASK_EXECUTION,
    *ROUTING,
    *BROKER,
    *RESULTS,
    *WORKER,
)
BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}
DEFAULTS: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
OLD_NAMES: dict[str, str] = {setting.upper: setting.name for setting in SETTINGS} | {
    setting.old: setting.name for setting in SETTINGS if setting.old not in ("", "=")
}
"""Names in upper case, old and new → the setting's name."""
