"""Every app of this process: what happens to all of them in a forked child, and when the process ends."""

import atexit
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

FLUSH_S = 5.0
"""How long a process that ends waits for what it has published to be confirmed."""

_apps: "weakref.WeakSet[Celery]" = weakref.WeakSet()


def watch_over(app: "Celery") -> None:
    """Let the app know when the process forks or ends; it is not kept alive."""
    _apps.add(app)


def _after_fork_in_child() -> None:
    for app in list(_apps):
        app.after_fork()


def _flush_at_exit() -> None:
    for app in list(_apps):
        app.flush(FLUSH_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_flush_at_exit)
