"""Loaders: where settings come from when nobody names a source, which modules have tasks, and hooks of a worker's life.

Users subclass `Loader` for the hooks: `Celery(loader="proj.loader:MyLoader")`, or CELERY_LOADER. A hook that nobody
overrides costs nothing: the app asks once which there are.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from celery_rs import signals
from celery_rs.errors import NotSupported

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

CONFIG_VARIABLE = "CELERY_CONFIG_MODULE"
LOADER_VARIABLE = "CELERY_LOADER"
DEFAULT_MODULE = "celeryconfig"


class Loader:
    """Reads the module that CELERY_CONFIG_MODULE names when the app names no source of settings."""

    builtin_modules: Sequence[str] = ()
    override_backends: Mapping[str, Any] = {}
    worker_initialized = False

    def __init__(self, app: "Celery", **_: Any) -> None:
        self.app = app
        self.task_modules: set[str] = set()
        self.importing: str | None = None
        """The task module that is being imported, for whoever reports why that failed."""

    # hooks

    def on_task_init(self, task_id: str, task: Any) -> None:
        """Before a task runs, where it runs."""

    def on_process_cleanup(self) -> None:
        """After a task has run, where it ran."""

    def on_worker_init(self) -> None:
        """In a starting worker, after the task modules were imported."""

    def on_worker_shutdown(self) -> None:
        """In a worker that has stopped."""

    def on_worker_process_init(self) -> None:
        """In each process that runs tasks, when it starts."""

    def now(self, utc: bool = True) -> datetime:
        """The present moment: in UTC, or naive in the local zone."""
        return datetime.now(UTC) if utc else datetime.now()  # noqa: DTZ005  (Celery's meaning of utc=False)

    # the moments, which the worker names

    def init_worker(self) -> None:
        """Import the task modules, then `on_worker_init`; once."""
        if not self.worker_initialized:
            self.worker_initialized = True
            self.import_default_modules()
            self.on_worker_init()

    def shutdown_worker(self) -> None:
        self.on_worker_shutdown()

    def init_worker_process(self) -> None:
        self.on_worker_process_init()

    # modules

    @property
    def default_modules(self) -> Sequence[str]:
        """The modules with tasks that the settings name."""
        return (*self.builtin_modules, *self.app.conf["imports"], *self.app.conf["include"])

    def import_default_modules(self) -> list[ModuleType]:
        """Send `import_modules`, then import what the settings name. What a receiver raises is raised here."""
        for _, answer in signals.import_modules.send(self.app):
            if isinstance(answer, Exception):
                raise answer
        return [self.import_task_module(module) for module in self.default_modules]

    def import_task_module(self, module: str) -> ModuleType:
        self.task_modules.add(module)
        self.importing = module
        imported = self.import_from_cwd(module)
        self.importing = None
        return imported

    def import_module(self, module: str, package: str | None = None) -> ModuleType:
        return importlib.import_module(module, package)

    def import_from_cwd(
        self, module: str, imp: Callable[..., ModuleType] | None = None, package: str | None = None
    ) -> ModuleType:
        """Import with the working directory on the path."""
        here = os.getcwd()
        if here not in sys.path and "" not in sys.path:
            sys.path.insert(0, here)
        return (imp or self.import_module)(module, package)

    def autodiscover_tasks(self, packages: Iterable[str], related_name: str | None = "tasks") -> None:
        """Import the task modules of packages, now."""
        self.app.autodiscover_tasks(packages, related_name, force=True)

    # settings

    def read_configuration(self, env: str = CONFIG_VARIABLE) -> Any:
        """The source of settings of an app that names none: a path, an object, or None."""
        return os.environ.get(env) or None


class DefaultLoader(Loader):
    """The loader of the fallback app: without CELERY_CONFIG_MODULE it reads `celeryconfig`, if there is one."""

    def read_configuration(self, env: str = CONFIG_VARIABLE) -> Any:
        named = super().read_configuration(env)
        if named is not None:
            return named
        try:
            return self.import_from_cwd(DEFAULT_MODULE)
        except ModuleNotFoundError as error:
            if error.name != DEFAULT_MODULE:
                raise
            return None


class RunHooks(NamedTuple):
    """What a loader wants to be told of each run; None where it does not care."""

    before: Callable[[str, Any], None] | None
    after: Callable[[], None] | None


def run_hooks(loader: Any) -> RunHooks | None:
    """The hooks that a loader overrides; None when it overrides neither."""
    kind = type(loader)
    before = loader.on_task_init if kind.on_task_init is not Loader.on_task_init else None
    after = loader.on_process_cleanup if kind.on_process_cleanup is not Loader.on_process_cleanup else None
    return RunHooks(before, after) if before or after else None


class _DjangoLoader(Loader):
    def __init__(self, app: "Celery", **_: Any) -> None:
        raise NotSupported(
            "the loader 'django'", "call app.config_from_object('django.conf:settings') and leave it out"
        )


ALIASES: Mapping[str, type[Loader]] = {"app": Loader, "default": DefaultLoader, "django": _DjangoLoader}
