"""What an app does by itself in a Django project.

In every process: its tasks are DjangoTasks, its time zone is Django's, `autodiscover_tasks()` looks into
INSTALLED_APPS. In a worker: Django is set up and checked before the task modules are imported, and the connections
of databases and caches are looked after around tasks and forks.

The app is made while Django reads its settings (`proj/__init__.py` imports it), so nothing here asks for a setting
before somebody asks the app for one.
"""

import logging
import os
import sys
from typing import Any

import django
from django.apps import apps
from django.conf import LazySettings, settings
from django.core.checks import run_checks

from celery_rs import signals
from celery_rs.app import Celery, Task
from celery_rs.backends.django import forget_inherited
from celery_rs.config import register_prefix
from celery_rs.django.connections import close_connections, refresh_connections, release_caches
from celery_rs.django.loggers import wake_loggers
from celery_rs.django.task import DjangoTask

logger = logging.getLogger("celery.django")

SOURCE = "django.conf:settings"
REUSE_MAX = "db_reuse_max"
"""Celery's setting CELERY_DB_REUSE_MAX: after how many tasks a connection is closed, whatever Django says."""

register_prefix(REUSE_MAX)


class DjangoFixup:
    """Of one app. It only listens until a worker of that app starts."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self._is_checked = False
        self._tasks_since = 0
        here = os.getcwd()
        if sys.path[:1] != [here]:
            # The project's modules win against others of the same name.
            sys.path.insert(0, here)
        if app.task_cls is Task:
            app.task_cls = DjangoTask
        app.add_defaults(self._defaults)
        signals.import_modules.connect(self._on_import_modules, sender=app)
        signals.worker_init.connect(self._on_worker_init)

    def autodiscover_tasks(self) -> list[str]:
        """The packages of INSTALLED_APPS."""
        return [config.name for config in apps.get_app_configs()]

    def _defaults(self) -> dict[str, Any]:
        """What Django's own settings say, where the app's settings are among them."""
        source = self.app.config_source
        from_django = source == SOURCE if isinstance(source, str) else isinstance(source, LazySettings)
        return {"timezone": settings.TIME_ZONE} if from_django and settings.TIME_ZONE else {}

    # in a worker

    def _on_import_modules(self, **_: Any) -> Exception | None:
        try:
            self._set_up()
        except Exception as error:  # noqa: BLE001  (the project's modules may raise anything)
            # Raised again by the loader: a signal would only log it.
            return error
        return None

    def _set_up(self) -> None:
        django.setup()
        wake_loggers()
        if self._is_checked or os.environ.get("CELERY_SKIP_CHECKS"):
            return
        self._is_checked = True
        for issue in run_checks():
            if issue.is_serious() and not issue.is_silenced():
                logger.error("Django's checks say: %s (%s)", issue.msg, issue.id)

    def _on_worker_init(self, sender: Any = None, **_: Any) -> None:
        if sender is not None and sender.app is not self.app:
            return  # the worker of another app, which has a fixup of its own
        signals.task_prerun.connect(self._before_task)
        signals.task_postrun.connect(self._after_task)
        signals.worker_process_init.connect(self._on_process_init)
        close_connections()
        release_caches()

    def _on_process_init(self, **_: Any) -> None:
        forget_inherited()

    def _before_task(self, sender: Any, **_: Any) -> None:
        if not sender.request.is_eager:
            refresh_connections()

    def _after_task(self, sender: Any, **_: Any) -> None:
        if sender.request.is_eager:
            return
        most = self.app.conf.get(REUSE_MAX)
        self._tasks_since += 1
        if most and self._tasks_since >= most:
            self._tasks_since = 0
            close_connections()
        refresh_connections()
        release_caches()
