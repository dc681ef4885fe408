"""Mistakes in a program: a setting and a value, an option of a task, a call; with what must be said of each."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class BadSetting(NamedTuple):
    """`value` is given to the setting; `says` must be in the error. `text`: as words of a command line can say it."""

    what: str
    name: str
    value: Any
    says: tuple[str, ...]
    text: str | None = None


SETTINGS = (
    BadSetting("misspelt", "task_serialiser", "json", ("'task_serialiser'", "'task_serializer'"), "json"),
    BadSetting("misspelt prefix", "wroker_concurrency", 2, ("'wroker_concurrency'", "'worker_concurrency'"), "2"),
    BadSetting("no number", "worker_concurrency", "many", ("worker_concurrency", "'many'"), "many"),
    BadSetting("no seconds", "task_time_limit", "soon", ("task_time_limit", "'soon'"), "soon"),
    BadSetting("negative seconds", "task_soft_time_limit", -1, ("task_soft_time_limit", "-1")),
    BadSetting("no switch", "task_acks_late", 7, ("task_acks_late", "7")),
    BadSetting("no text", "task_default_queue", 5, ("task_default_queue", "5")),
    BadSetting("no list", "accept_content", 5, ("accept_content", "5")),
    BadSetting("unknown content", "accept_content", ["morse"], ("accept_content", "morse")),
    BadSetting("unknown serializer", "task_serializer", "morse", ("task_serializer", "morse"), "morse"),
    BadSetting("zone", "timezone", "Mars/Base", ("timezone", "'Mars/Base'"), "Mars/Base"),
    BadSetting("route", "task_routes", {"proj.add": 5}, ("task_routes", "proj.add", "5")),
    BadSetting("rate", "task_default_rate_limit", "10/y", ("task_default_rate_limit", "'10/y'"), "10/y"),
    BadSetting(
        "rate of a task", "task_annotations", {"proj.add": {"rate_limit": "fast"}}, ("task_annotations", "fast")
    ),
    BadSetting("queue", "task_queues", 5, ("task_queues", "5")),
    BadSetting("pool", "worker_pool", "swimming", ("worker_pool", "'swimming'"), "swimming"),
    BadSetting(
        "not there yet", "task_allow_error_cb_on_chord_header", True, ("task_allow_error_cb", "True"), "(bool)1"
    ),
)


class BadOption(NamedTuple):
    """Options of `@app.task` that make no sense."""

    what: str
    options: Mapping[str, Any]
    says: tuple[str, ...]


DECORATIONS = (
    BadOption("rate", {"rate_limit": "10/y"}, ("rate_limit", "'10/y'")),
    BadOption("time limit", {"time_limit": "soon"}, ("time_limit", "'soon'")),
    BadOption("soft above hard", {"time_limit": 1, "soft_time_limit": 2}, ("soft_time_limit", "1", "2")),
    BadOption("backoff", {"retry_backoff": "long"}, ("retry_backoff", "'long'")),
    BadOption("name", {"name": 5}, ("name", "5")),
    BadOption("base", {"base": dict}, ("base", "dict")),
)


class BadCall(NamedTuple):
    """A call of the task `proj.add(x, y)`; `only` names the entry points at which it is a mistake."""

    what: str
    says: tuple[str, ...]
    args: Any = (1, 2)
    kwargs: Any = None
    options: Mapping[str, Any] = {}
    only: str = "apply_async send_task"


CALLS = (
    BadCall("too few arguments", ("missing", "'y'"), (1,), only="delay apply_async"),
    BadCall("too many arguments", ("add()", "3"), (1, 2, 3), only="delay apply_async"),
    BadCall("unknown argument", ("'z'",), (1,), {"z": 1}, only="delay apply_async"),
    BadCall("not JSON", ("args[1]", "complex is not JSON"), (1, 2j), only="delay apply_async send_task"),
    BadCall("not JSON inside", ("args[1]['when']", "complex is not JSON"), (1, {"when": 2j}), only="delay apply_async"),
    BadCall("not JSON by name", ("kwargs['y']", "set"), (1,), {"y": {1}}, only="delay apply_async send_task"),
    BadCall("arguments as text", ("args", "'12'"), "12"),
    BadCall("names as a list", ("kwargs a dict",), (1, 2), [("x", 1)], only="apply_async"),
    BadCall("names as a list", ("kwargs a dict", "[('x', 1)]"), (1, 2), [("x", 1)], only="send_task"),
    BadCall("countdown", ("countdown", "'soon'"), options={"countdown": "soon"}),
    BadCall("eta", ("eta", "'soon'"), options={"eta": "soon"}),
    BadCall("expires", ("expires",), options={"expires": object()}),
    BadCall("time limit", ("time_limit", "'soon'"), options={"time_limit": "soon"}),
    BadCall("priority", ("priority", "'high'"), options={"priority": "high"}),
    BadCall("serializer", ("morse",), options={"serializer": "morse"}),
    BadCall("compression", ("compression", "squeeze"), options={"compression": "squeeze"}),
    BadCall("queue", ("queue", "5"), options={"queue": 5}),
    BadCall("headers", ("headers", "5"), options={"headers": 5}),
    BadCall("task id", ("task_id", "5"), options={"task_id": 5}),
    BadCall("misspelt option", ("'countdwon'",), options={"countdwon": 5}),
    BadCall("exchange of nobody", ("'nowhere'",), options={"exchange": "nowhere", "routing_key": "x"}),
)
