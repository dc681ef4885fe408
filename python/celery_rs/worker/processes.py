"""What users hear of the processes that run their tasks: hooks of the loader, signals, and the command line's own.

`worker_before_create_process` is sent where the fork happens, because it is there to prepare what is forked: in the
worker before the nursery, in the nursery before each child. A receiver that never returns there holds up the pool; one
of `worker_process_init` costs only its child, which is killed after `worker_proc_alive_timeout`.
"""

import os
from collections.abc import Callable
from typing import Any

from celery_rs import signals
from celery_rs.worker.pools import Duties


def with_hooks(duties: Duties, app: Any, hostname: str, on_child: Callable[[int], None] | None = None) -> Duties:
    """The same duties, and whoever asked is told of each process; `on_child` comes first, with its index from 1."""

    def enter(index: int) -> None:
        if on_child is not None and index:
            on_child(index)
        app.loader.init_worker_process()
        if signals.worker_process_init.receivers:
            signals.worker_process_init.send(hostname)

    def leave(exit_code: int) -> None:
        if signals.worker_process_shutdown.receivers:
            signals.worker_process_shutdown.send(hostname, pid=os.getpid(), exitcode=exit_code)

    def before_fork(pool: object) -> None:
        if signals.worker_before_create_process.receivers:
            signals.worker_before_create_process.send(pool)

    return duties._replace(enter=[enter], leave=[leave], before_fork=[before_fork])
