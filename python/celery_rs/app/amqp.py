"""`app.amqp`: the app's queues and routes under the names that Celery has for them.

Connections, producers and consumers are not here: a transport of ours is no channel of Kombu's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from celery_rs.app.later import Refused
from celery_rs.app.queues import as_queue, queue_of
from celery_rs.wire import Exchange, Queue

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

_SENDING = "send with send_task or apply_async"
_REFUSED = {
    "Connection": "use app.transport",
    "Consumer": "start a worker",
    "TaskConsumer": "start a worker",
    "Producer": _SENDING,
    "producer_pool": _SENDING,
    "publisher_pool": _SENDING,
    "send_task_message": _SENDING,
    "create_task_message": _SENDING,
    "as_task_v1": _SENDING,
    "as_task_v2": _SENDING,
    "Queues": "set task_queues",
    "Router": "set task_routes",
}


class Queues(Mapping[str, Queue]):
    """The queues by name. Looking up one that is missing makes it, as task_create_missing_queues says."""

    def __init__(self, app: "Celery") -> None:
        self._app = app
        self._added: dict[str, Queue] = {}
        self._selected: tuple[str, ...] = ()
        self._left_out: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Queue:
        return self._app.publisher.router.queue(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._app.publisher.router.table.known)

    def __len__(self) -> int:
        return len(self._app.publisher.router.table.known)

    def __contains__(self, name: object) -> bool:
        return name in self._app.publisher.router.table.known

    @property
    def added(self) -> Sequence[Queue]:
        """Those that `add` was given."""
        return list(self._added.values())

    @property
    def aliases(self) -> dict[str, Queue]:
        return {queue.alias: queue for queue in self.values() if queue.alias}

    @property
    def consume_from(self) -> dict[str, Queue]:
        """What a worker of this app consumes from, unless it is told others."""
        return {queue.name: queue for queue in self.chosen()}

    def chosen(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Sequence[Queue]:
        """Those named in `include`, else those selected, else all; without `exclude` and those deselected."""
        left_out = () if include else self._left_out
        return self._app.publisher.router.queues(include or self._selected, (*exclude, *left_out))

    def add(self, queue: Any, **options: Any) -> Queue:
        """Know a further queue: an object, or a name with options as in task_queues."""
        added = queue_of(queue, **options) if isinstance(queue, str) else as_queue(queue)
        self._added[added.name] = added
        self._app.publisher.forget_routes()
        return self[added.name]

    def select(self, include: Iterable[str] | str | None) -> None:
        """Consume from these only; from all again with None."""
        self._selected = _names(include)
        self._left_out = ()

    def select_add(self, queue: Any, **options: Any) -> Queue:
        """Know a further queue, and consume from it, too."""
        added = self.add(queue, **options)
        if self._selected:
            self._selected = (*self._selected, added.name)
        return added

    def deselect(self, exclude: Iterable[str] | str | None) -> None:
        """Consume from all but these."""
        gone = _names(exclude)
        self._selected = tuple(name for name in self._selected if name not in gone)
        self._left_out = (*self._left_out, *gone)


class Routes:
    """`app.amqp.router`."""

    def __init__(self, app: "Celery") -> None:
        self._app = app

    def route(
        self,
        options: Mapping[str, Any],
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        task_type: Any = None,
    ) -> dict[str, Any]:
        """The options of a call with those of its route; its `queue` is a Queue. Raises QueueNotFound."""
        router = self._app.publisher.router
        said = {key: value for key, value in options.items() if value is not None}
        task = self._app.declared(name) if task_type is None else task_type
        chosen = router.options(name, args, kwargs or {}, said, task) | said
        if "queue" in chosen or "exchange" not in chosen:
            queue = chosen.get("queue")
            chosen["queue"] = router.queue(queue) if isinstance(queue, str) else queue or router.table.default
        return chosen


class Amqp:
    """See `Celery.amqp`."""

    def __init__(self, app: "Celery") -> None:
        self._app = app
        self.queues = Queues(app)
        self.router = Routes(app)

    @property
    def default_queue(self) -> Queue:
        return self._app.publisher.router.table.default

    @property
    def default_exchange(self) -> Exchange:
        return self._app.publisher.router.table.default_exchange

    @property
    def routes(self) -> Any:
        """The setting task_routes."""
        return self._app.conf.task_routes

    def flush_routes(self) -> None:
        """Read task_queues and task_routes anew: a value was changed in its place, which no setting notices."""
        self._app.publisher.forget_routes()

    def __getattr__(self, name: str) -> NoReturn:
        if name in _REFUSED:
            raise Refused(f"app.amqp.{name}", _REFUSED[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _names(given: Iterable[str] | str | None) -> tuple[str, ...]:
    return tuple(given.split(",")) if isinstance(given, str) else tuple(given or ())
