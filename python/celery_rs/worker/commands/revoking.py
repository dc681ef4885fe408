"""Revoking tasks: by id or by stamp, and ending those that run. The texts are Celery's."""

import logging
import signal as signals
from collections.abc import Mapping, Sequence
from typing import Any

from celery_rs.control import ids_of
from celery_rs.worker.commands.state import WorkerState
from celery_rs.worker.commands.table import Reply, command

logger = logging.getLogger(__name__)


@command("revoke", kind="control", args="<id> [id ...]", help="Do not start these tasks.")
def revoke(
    state: WorkerState, task_id: Sequence[str] | str, terminate: bool = False, signal: str | int | None = None
) -> Reply:
    """With `terminate`, end those that run as well, by `signal` (SIGTERM)."""
    ids = ids_of(task_id)
    if terminate:
        return _terminate(state, ids, signal)
    state.revoke(ids)
    logger.info("Tasks flagged as revoked: %s", ", ".join(ids))
    return {"ok": f"tasks {_set_of(ids)} flagged as revoked"}


@command("terminate", kind="control", args="<signal> <id> [id ...]", help="End these tasks, also where they run.")
def terminate(state: WorkerState, signal: str | int | None, task_id: Sequence[str] | str) -> Reply:
    return _terminate(state, ids_of(task_id), signal)


@command(
    "revoke_by_stamped_headers",
    kind="control",
    args="<name=value> [name=value ...]",
    help="Do not start tasks that carry one of these stamps; remembered until the worker ends.",
)
def revoke_by_stamped_headers(
    state: WorkerState,
    headers: Sequence[str] | Mapping[str, Any],
    terminate: bool = False,
    signal: str | int | None = None,
) -> Reply:
    stamps = _stamps(headers)
    signum = _signum(signal) if terminate else None
    found = state.revoke_stamped(stamps, signum)
    shown = {name: values[0] if len(values) == 1 else values for name, values in stamps.items()}
    if isinstance(headers, Mapping):
        shown = dict(headers)  # as they came
    logger.info("Tasks with these headers flagged as revoked: %s", shown)
    if not terminate:
        return {"ok": f"headers {shown} flagged as revoked, but not terminated"}
    return {"ok": f"headers {shown} revoked" if found else f"headers {shown} were not terminated"}


def _terminate(state: WorkerState, ids: list[str], signal: str | int | None) -> Reply:
    found = state.revoke(ids, _signum(signal))
    return {"ok": f"terminate: {', '.join(found)}" if found else "terminate: tasks unknown"}


def _set_of(ids: Sequence[str]) -> str:
    """As Celery's reply shows the ids, but in the order in which they were asked for."""
    return "{" + ", ".join(map(repr, ids)) + "}" if ids else "set()"


def _signum(signal: str | int | None) -> signals.Signals:
    """`TERM`, `SIGTERM`, `15` or 15. Raises ValueError."""
    name = str(signal or "SIGTERM").upper()
    try:
        if name.isdigit():
            return signals.Signals(int(name))
        return signals.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except (KeyError, ValueError):
        raise ValueError(f"expected a signal such as SIGTERM, got {signal!r}") from None


def _stamps(headers: Sequence[str] | Mapping[str, Any]) -> dict[str, list[Any]]:
    """Raises ValueError for a word without `=`."""
    if isinstance(headers, Mapping):
        return {str(name): list(v) if isinstance(v, list | tuple) else [v] for name, v in headers.items()}
    stamps: dict[str, list[Any]] = {}
    for word in [headers] if isinstance(headers, str) else headers:
        name, given, value = str(word).partition("=")
        if not given or not name:
            raise ValueError(f"expected stamps as name=value, got {word!r}")
        stamps.setdefault(name, []).append(value)
    return stamps
