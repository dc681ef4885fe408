"""Receivers of signals that do nothing: what it costs that somebody listens, as tracing and error reports do."""

from importlib import import_module
from typing import Any

_SIGNALS = (
    "before_task_publish",
    "after_task_publish",
    "task_received",
    "task_prerun",
    "task_postrun",
    "task_success",
    "task_failure",
    "task_retry",
    "task_revoked",
)


def connect(package: str) -> None:
    """One for every signal of a task's life, in the package's own `signals`."""
    signals = import_module(f"{package}.signals")
    for name in _SIGNALS:
        getattr(signals, name).connect(_ignore)


def _ignore(**_: Any) -> None:
    """A receiver."""
