"""What the settings say to every run, and a task to its own: looked up once, and again when a setting or a serializer
has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import ref

from celery_rs import serializers
from celery_rs.context import AppLike
from celery_rs.execution.user_code import is_idle
from celery_rs.wire import ResultCodec

_HOOKS = ("before_start", "on_success", "on_failure", "on_retry", "after_return")


class TaskTerms:
    """What a task says to its runs; as in Celery, what changes on it after its first run in a worker means nothing.

    Each task is of a class of its own, so asking a thousand of them costs far more than asking a thousand of these.
    """

    __slots__ = ("body", "hooks", "ignore_result", "name", "resultrepr_maxsize", "task", "track_started", "trail")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.name: str = task.name
        self.body = task.body
        self.ignore_result: bool = task.ignore_result
        self.track_started: bool = task.track_started
        self.trail: bool = task.trail
        self.resultrepr_maxsize: int = task.resultrepr_maxsize
        self.hooks = frozenset(hook for hook in _HOOKS if not is_idle(getattr(task, hook)))
        """Those that somebody has defined."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`accepted` are content types; `extended` is `result_extended`."""

    accepted: frozenset[str]
    codec: ResultCodec
    extended: bool
    keeps_results: bool
    _of_tasks: dict[str, TaskTerms] = field(default_factory=dict, compare=False)

    def of_task(self, tasks: Mapping[str, Any], name: str) -> TaskTerms:
        """Raises what `tasks` raises for a name that it does not know."""
        known = self._of_tasks.get(name)
        if known is None:
            known = self._of_tasks[name] = TaskTerms(tasks[name])
        return known


class _Read(NamedTuple):
    """When whose settings were read."""

    app: "ref[AppLike]"
    version: int
    registered: int
    terms: Terms


_last: _Read | None = None


def terms_of(app: AppLike) -> Terms:
    """Those of the app that was asked for last are at hand: a process that runs tasks has one app."""
    global _last
    last, version, registered = _last, app.conf.version, serializers.changes()
    if last is not None and last[1] == version and last[2] == registered and last[0]() is app:
        return last[3]
    conf = app.conf
    accepted = serializers.content_types(conf.accept_content)
    terms = Terms(accepted, ResultCodec.of(conf), bool(conf.result_extended), app.keeps_results)
    _last = _Read(ref(app), conf.version, registered, terms)
    return terms
