"""What a worker prints when it starts: who it is, what it works with, what it consumes."""

import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest

import click

from celery_rs._core import RELEASE
from celery_rs.app import Celery, Loader
from celery_rs.wire import Queue

_ART = r"""
   \\ | | //
  \ \\| |// /
   \ \| |/ /
    \ | | /
     \| |/
      | |
      | |
      | |
      | |
     /| |\
    (_____)
""".strip("\n").splitlines()
_ART_COLUMNS = 16


def banner(
    app: Celery,
    node: str,
    *,
    concurrency: int,
    pool: str,
    queues: Sequence[Queue],
    now: datetime,
    autoscale: tuple[int, int] | None = None,
    task_events: bool = False,
) -> str:
    """The banner, coloured; `click.echo` takes the colours away where nobody sees them. `autoscale`: (most, least)."""
    size = str(concurrency) if autoscale is None else f"{{min={autoscale[1]}, max={autoscale[0]}}}"
    facts = [
        f"{node} v{RELEASE}",
        "",
        f"{platform.platform()} {now:%Y-%m-%d %H:%M:%S}",
        "",
        "[config]",
        f".> app:         {app.main or '__main__'}:{id(app):#x}{_loader(app)}",
        f".> transport:   {app.transport.describe()}",
        f".> results:     {app.backend.describe()}",
        f".> concurrency: {size} ({pool})",
        f".> task events: {'ON' if task_events else 'OFF (enable -E to monitor tasks in this worker)'}",
        "",
        "[queues]",
        *sorted(_queue_line(queue) for queue in queues),
    ]
    lines = [
        click.style(f"{art:<{_ART_COLUMNS}}" if fact else art, fg="cyan") + fact
        for art, fact in zip_longest(_ART, facts, fillvalue="")
    ]
    return "\n" + "\n".join(lines) + "\n"


def task_list(names: Iterable[str], *, builtins: bool) -> str:
    """The `[tasks]` block; Celery's own tasks only when asked for."""
    shown = sorted(name for name in names if builtins or not name.startswith("celery."))
    return "\n".join(["[tasks]", *(f"  . {name}" for name in shown)]) + "\n"


def _loader(app: Celery) -> str:
    """The loader, if it is not the usual one."""
    kind = type(app.loader)
    return "" if kind is Loader else f" ({kind.__module__}.{kind.__qualname__})"


def _queue_line(queue: Queue) -> str:
    exchange = queue.exchange
    key = queue.routing_key or queue.name
    return f".> {queue.name:<16} exchange={exchange.name or queue.name}({exchange.type}) key={key}"
