"""cauli under the names that the benchmarks use of Celery. It has most of them itself."""

from collections.abc import Callable, Sequence
from typing import Any

from cauli import AsyncResult, Cauli  # type: ignore[import-not-found]

from bench.inside.coroutines import COMPUTES, on_the_loop


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    def __init__(self, name: str) -> None:
        self.conf = self
        self.native: Any = None
        self.tasks: dict[str, Any] = {}
        self._results = False

    def update(self, settings: dict[str, Any]) -> None:
        """Make its own app."""
        self.native = Cauli(redis_url=settings["broker_url"], task_routes=settings.get("task_routes"))
        self._results = settings["results"]

    def AsyncResult(self, id: str) -> Any:  # noqa: N802 (as Celery calls it)
        """A result, by its task's id."""
        return AsyncResult(id, self.native)

    def task(self, name: str) -> Callable[[Callable[..., Any]], Any]:
        """Register a task: what computes is for its forked children."""

        def register(body: Callable[..., Any]) -> Any:
            kind = "cpu" if name == COMPUTES else "io"
            made = body if name == COMPUTES else on_the_loop(name, body)
            self.tasks[name] = self.native.task(name=name, kind=kind, store_result=self._results)(made)
            return self.tasks[name]

        return register

    def send_many(self, task: Any, over: Sequence[Sequence[Any]]) -> Any:
        """Send them in one pipeline."""
        return self.native.enqueue_many([(task, tuple(args)) for args in over])
