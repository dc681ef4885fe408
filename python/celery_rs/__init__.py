"""celery-rs: Celery's API and wire protocol, with a Rust core.

Public names, nothing else. Each is loaded when it is first used, so that `import celery_rs` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery_rs import errors, signals, states
    from celery_rs.app import (
        Celery,
        DuplicateTaskNameWarning,
        Task,
        app_or_default,
        current_app,
        current_task,
        get_task_logger,
        shared_task,
    )
    from celery_rs.app.current import bugreport
    from celery_rs.canvas.signature import Signature, maybe_signature, signature
    from celery_rs.canvas.signature import signature as subtask
    from celery_rs.errors import Ignore, Reject, Retry
    from celery_rs.results import AsyncResult, allow_join_result
    from celery_rs.version import SERIES, VERSION, VERSION_BANNER, __version__, version_info, version_info_t
    from celery_rs.wire import Broadcast, Exchange, Queue, binding
    from celery_rs.wire import new_id as uuid

_HOMES = {
    "app": ("Celery", "Task", "app_or_default", "bugreport", "current_app", "current_task", "shared_task",
            "get_task_logger", "DuplicateTaskNameWarning"),
    "canvas": ("Signature", "maybe_signature", "signature"),
    "results": ("AsyncResult", "allow_join_result"),
    "wire": ("Broadcast", "Exchange", "Queue", "binding"),
    "errors": ("Ignore", "Reject", "Retry"),
    "version": ("SERIES", "VERSION", "VERSION_BANNER", "__version__", "version_info", "version_info_t"),
}  # fmt: skip
_OTHER_NAMES = {"subtask": ("canvas", "signature"), "uuid": ("wire", "new_id")}
_WHERE = {name: (room, name) for room, names in _HOMES.items() for name in names} | _OTHER_NAMES
_MODULES = ("errors", "signals", "states")

_WORKFLOWS = "call the next task with `link`, or from the task itself"
_NOT_YET = {
    **dict.fromkeys(("chain", "chord", "group", "chunks", "xmap", "xstarmap"), _WORKFLOWS),
    "local": "use current_app and current_task",
    "maybe_patch_concurrency": "there are no gevent and eventlet pools to patch for",
}
"""Celery's names that are not there yet."""

__all__ = [
    "Celery",
    "Task",
    "shared_task",
    "current_app",
    "current_task",
    "app_or_default",
    "bugreport",
    "get_task_logger",
    "DuplicateTaskNameWarning",
    "Signature",
    "signature",
    "subtask",
    "maybe_signature",
    "AsyncResult",
    "allow_join_result",
    "Queue",
    "Exchange",
    "binding",
    "Broadcast",
    "Ignore",
    "Reject",
    "Retry",
    "errors",
    "signals",
    "states",
    "uuid",
    "VERSION",
    "SERIES",
    "VERSION_BANNER",
    "version_info",
    "version_info_t",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        room, there = _WHERE[name]
        if room == "results":
            # A result without an app of its own asks for the fallback, which that room makes.
            import_module("celery_rs.app")
        value = getattr(import_module(f"{__name__}.{room}"), there)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    elif name in _NOT_YET:
        # An AttributeError would lose its sentence on the way out of `from celery_rs import ...`.
        raise ImportError(f"{__name__}.{name} is not supported yet; {_NOT_YET[name]}", name=__name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
