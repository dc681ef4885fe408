"""celery-rs: Celery's API and wire protocol, with a Rust core.

Public names, nothing else. Each is loaded when it is first used, so that `import celery_rs` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery_rs import errors, signals, states
    from celery_rs.app import Celery, DuplicateTaskNameWarning, Task, current_app, current_task, get_task_logger
    from celery_rs.errors import Ignore, Reject, Retry
    from celery_rs.results import AsyncResult, allow_join_result

    __version__: str

_HOMES = {
    "Celery": "celery_rs.app",
    "Task": "celery_rs.app",
    "current_app": "celery_rs.app",
    "current_task": "celery_rs.app",
    "get_task_logger": "celery_rs.app",
    "DuplicateTaskNameWarning": "celery_rs.app",
    "AsyncResult": "celery_rs.results",
    "allow_join_result": "celery_rs.results",
    "Ignore": "celery_rs.errors",
    "Reject": "celery_rs.errors",
    "Retry": "celery_rs.errors",
}
_MODULES = ("errors", "signals", "states")

__all__ = [
    "Celery",
    "Task",
    "current_app",
    "current_task",
    "get_task_logger",
    "DuplicateTaskNameWarning",
    "AsyncResult",
    "allow_join_result",
    "Ignore",
    "Reject",
    "Retry",
    "errors",
    "signals",
    "states",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    elif name == "__version__":
        value = import_module("importlib.metadata").version("celery-rs")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
