"""dramatiq under the names that the benchmarks use of Celery: tasks are actors, and messages know their results."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import dramatiq  # type: ignore[import-not-found]
from dramatiq.results import Results, ResultTimeout  # type: ignore[import-not-found]
from dramatiq.results.backends import RedisBackend  # type: ignore[import-not-found]

_LOOK_S = 0.001


class AsyncResult:
    """The result of a message. Its id is the whole message: dramatiq finds results by more than an id."""

    def __init__(self, message: Any) -> None:
        self._message: Any = dramatiq.Message.decode(message.encode()) if isinstance(message, str) else message

    @property
    def id(self) -> str:
        """The whole message."""
        return str(self._message.encode(), "utf-8")

    def get(self, timeout: float) -> Any:
        """Wait for it. dramatiq waits for whole seconds; what is left of one is spent looking again and again."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                return self._message.get_result(block=True, timeout=max(0, int(left * 1000)))
            except ResultTimeout:
                if left <= 0:
                    raise
            if left < 1:
                time.sleep(_LOOK_S)


class Task:
    """An actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def delay(self, *args: Any) -> AsyncResult:
        """Send a message."""
        return AsyncResult(self._actor.send(*args))

    def later(self, seconds: float, *args: Any) -> AsyncResult:
        """Send a message that waits in the queue of the delayed."""
        return AsyncResult(self._actor.send_with_options(args=args, delay=int(seconds * 1000)))


class Celery:
    """The app. It is its own configuration, which arrives before the tasks."""

    AsyncResult = AsyncResult

    def __init__(self, name: str) -> None:
        self.conf = self
        self.tasks: dict[str, Task] = {}

    def update(self, settings: dict[str, str | None]) -> None:
        """Make the broker, and the store of results if there is one."""
        broker = _broker(str(settings["broker_url"]))
        if settings["result_backend"]:
            broker.add_middleware(Results(backend=RedisBackend(url=settings["result_backend"]), store_results=True))
        dramatiq.set_broker(broker)

    def task(self, name: str) -> Callable[[Callable[..., Any]], Task]:
        """Register an actor."""

        def register(body: Callable[..., Any]) -> Task:
            self.tasks[name] = Task(dramatiq.actor(body, actor_name=name))
            return self.tasks[name]

        return register


def _broker(url: str) -> Any:
    """Each brings a library of its own, of which an environment may have only one."""
    if url.startswith("redis:"):
        return import_module("dramatiq.brokers.redis").RedisBroker(url=url)
    return import_module("dramatiq.brokers.rabbitmq").RabbitmqBroker(url=url)
