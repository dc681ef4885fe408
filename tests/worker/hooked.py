"""Receivers that note what a worker's signals say; a worker imports this with `-I`."""

import os
import time
from typing import Any

from celery_rs import signals
from tests.worker.proj import FOLDER, app, note


def tell(text: str) -> None:
    """One line, whole, whoever else writes."""
    descriptor = os.open(FOLDER / "life", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{os.getpid()} {text}\n".encode())
    os.close(descriptor)


@signals.celeryd_init.connect
def on_celeryd_init(sender: str, instance: Any, conf: Any, options: Any, **_: Any) -> None:
    tell(f"celeryd_init {sender} {instance.hostname} {options['concurrency']}")


@signals.celeryd_after_setup.connect
def on_celeryd_after_setup(sender: str, instance: Any, conf: Any, **_: Any) -> None:
    tell(f"celeryd_after_setup {sender} {[queue.name for queue in instance.queues]}")


@signals.worker_init.connect
def on_worker_init(sender: Any, **_: Any) -> None:
    tell(f"worker_init {sender.hostname}")
    app.loaded_before_the_fork = True  # type: ignore[attr-defined]  # what a project loads once for all its processes


@signals.worker_ready.connect
def on_worker_ready(sender: Any, **_: Any) -> None:
    tell(f"worker_ready {sender.hostname} {sender.app.main}")


@signals.worker_shutting_down.connect
def on_worker_shutting_down(sender: str, sig: str, how: str, exitcode: int, **_: Any) -> None:
    tell(f"worker_shutting_down {sender} {sig} {how} {exitcode}")


@signals.worker_shutdown.connect
def on_worker_shutdown(sender: Any, **_: Any) -> None:
    tell(f"worker_shutdown {sender.hostname}")


@signals.worker_before_create_process.connect
def on_before_create_process(sender: Any, **_: Any) -> None:
    tell("worker_before_create_process")


@signals.worker_process_init.connect
def on_process_init(sender: str, **_: Any) -> None:
    tell(f"worker_process_init {sender} {getattr(app, 'loaded_before_the_fork', False)}")
    if os.environ.get("PROJ_HANGS") and not (FOLDER / "hung").exists():
        note("hung")
        time.sleep(60)  # longer than any child is waited for


@signals.worker_process_shutdown.connect
def on_process_shutdown(sender: str, pid: int, exitcode: int, **_: Any) -> None:
    tell(f"worker_process_shutdown {sender} {pid == os.getpid()} {exitcode}")
