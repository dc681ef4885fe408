"""Which queue a call goes to: task_routes, compiled.

Routers are tried in the order in which they are written; a dict is one router, whose exact names win over its
patterns. Functions keep their place, and since they may look at the arguments, their answers are never remembered.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import translate
from typing import Any, NamedTuple

from celery_rs import _core
from celery_rs.app.options import check_route
from celery_rs.app.queues import QueueTable, as_queue
from celery_rs.config import Settings, load
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports import Route
from celery_rs.wire import Queue

Options = Mapping[str, Any]
Function = Callable[..., Any]

_MEMO_SIZE = 4096


class Destination(NamedTuple):
    """Where a call goes, through which queue, and the queues that the broker must know first."""

    route: Route
    queue: Queue
    first: tuple[Queue, ...]


class RouteMap:
    """One dict, or list of pairs: name, glob or regex → options."""

    def __init__(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        self._options = [_options(target) for _, target in pairs]
        self._rules = [_rule(pattern) for pattern, _ in pairs]
        # A regex with flags, or one that Rust's engine lacks (look-around), keeps its whole dict in Python.
        self._table: _core.RouteTable | None = None
        if not any(isinstance(pattern, re.Pattern) and pattern.flags != re.UNICODE for pattern, _ in pairs):
            try:
                self._table = _core.RouteTable(self._rules)
                return
            except ValueError:
                pass
        self._exact = {text: i for i, (kind, text) in reversed(list(enumerate(self._rules))) if kind == "exact"}
        self._patterns = [
            (i, _compiled(pattern)) for i, (pattern, _) in enumerate(pairs) if i not in self._exact.values()
        ]

    def lookup(self, task: str) -> dict[str, Any] | None:
        index = self._table.lookup(task) if self._table is not None else self._search(task)
        return None if index is None else self._options[index]

    def _search(self, task: str) -> int | None:
        if task in self._exact:
            return self._exact[task]
        return next((i for i, pattern in self._patterns if pattern.match(task)), None)


class Router:
    """Compiled once per version of the settings. Raises ImproperlyConfigured for routes that make no sense."""

    def __init__(self, conf: Settings, added: Collection[Queue] = ()) -> None:
        """`added` are queues beside those of the settings."""
        self.table = QueueTable(conf, added)
        self._routers = _routers(conf.task_routes)
        self.remembers = all(isinstance(router, RouteMap) for router in self._routers)
        """Whether a task's route depends on nothing but its name."""
        self._memo: dict[str, dict[str, Any]] = {}

    def queues(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[Queue]:
        """The configured queues, or those named in `include`; without those in `exclude`."""
        return self.table.choose(include, exclude)

    def queue(self, name: str) -> Queue:
        """Raises QueueNotFound when it is not configured and task_create_missing_queues is off."""
        return self.table.find(name)

    def options(
        self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, declared: object
    ) -> dict[str, Any]:
        """What task_routes says about this call; not yours to change."""
        if not self.remembers:
            return self._ask(task, args, kwargs, options, declared)
        found = self._memo.get(task)
        if found is None:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            found = self._memo[task] = self._ask(task, args, kwargs, options, declared)
        return found

    def destination(self, options: Options) -> Destination:
        """Where a call with these options (of the call, the routes and the task, merged) goes."""
        name, exchange, key = options.get("queue"), options.get("exchange"), options.get("routing_key")
        if name is None:
            queue = self.table.default
        else:
            queue = self.queue(name) if isinstance(name, str) else as_queue(name)
        if exchange is not None and not isinstance(exchange, str):
            if not isinstance(getattr(exchange, "name", None), str):
                raise ImproperlyConfigured(f"exchange must be a name or an Exchange, got {exchange!r}")
            exchange = exchange.name
        if key is not None and not isinstance(key, str):
            raise ImproperlyConfigured(f"routing_key must be a string, got {key!r}")
        if exchange is None and (not queue.exchange.name or queue.exchange.type == "direct"):
            return Destination(Route("", queue.name), queue, ())
        if exchange is None:
            exchange = queue.exchange.name or self.table.default_exchange.name
        if key is None:
            key = queue.routing_key or self.table.default_key
        return Destination(Route(exchange, key), queue, self._first(exchange, queue, named=name is not None))

    def _first(self, exchange: str, queue: Queue, *, named: bool) -> tuple[Queue, ...]:
        """What must be declared before a message goes to that exchange: the call's queue, else all that hear it."""
        if not exchange:
            return ()
        if named or queue.exchange.name == exchange:
            return (queue,)
        return tuple(self.table.bound_to(exchange))

    def _ask(
        self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Options, declared: object
    ) -> dict[str, Any]:
        for router in self._routers:
            if isinstance(router, RouteMap):
                found = router.lookup(task)
            else:
                answer = router(task, args, kwargs, dict(options), task=declared)
                found = None if answer is None else _options(answer)
            if found is not None:
                return found
        return {}


def _routers(given: Any) -> list[RouteMap | Function]:
    if given is None:
        return []
    if not isinstance(given, list | tuple):
        given = [given]
    routers: list[RouteMap | Function] = []
    pairs: list[tuple[Any, Any]] = []
    for item in given:
        if _is_pair(item):
            pairs.append((item[0], item[1]))
            continue
        if pairs:
            routers.append(RouteMap(pairs))
            pairs = []
        routers.append(_router(item))
    if pairs:
        routers.append(RouteMap(pairs))
    return routers


def _router(given: Any) -> RouteMap | Function:
    if isinstance(given, str):
        given = load(given)
    if isinstance(given, Mapping):
        return RouteMap(list(given.items()))
    if isinstance(given, list | tuple):
        if not all(_is_pair(item) for item in given):
            raise ImproperlyConfigured(
                f"a list inside task_routes must hold (pattern, queue or options) pairs, got {given!r}"
            )
        return RouteMap([(pattern, target) for pattern, target in given])
    if isinstance(given, type):
        given = given()
    method = getattr(given, "route_for_task", None)
    if method is not None:
        return lambda name, args, kwargs, options, **_: method(name, args, kwargs)
    if callable(given):
        return given  # type: ignore[no-any-return]  # a router is whatever the user says it is
    raise ImproperlyConfigured(f"a router must be a dict, a function or an import path, got {given!r}")


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, list | tuple)
        and len(item) == 2
        and isinstance(item[0], str | re.Pattern)
        and isinstance(item[1], Mapping | str)
    )


def _rule(pattern: Any) -> tuple[str, str]:
    if isinstance(pattern, re.Pattern):
        return "regex", pattern.pattern
    if isinstance(pattern, str):
        return ("glob", pattern) if any(sign in pattern for sign in "*?[") else ("exact", pattern)
    raise ImproperlyConfigured(f"task_routes: a task's name, a glob or a compiled regex was expected, got {pattern!r}")


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    return pattern if isinstance(pattern, re.Pattern) else re.compile(translate(pattern))


def _options(target: Any) -> dict[str, Any]:
    if isinstance(target, str):
        return {"queue": target}
    if isinstance(target, Mapping):
        check_route(target)
        return dict(target)
    if hasattr(target, "name"):
        return {"queue": target}
    raise ImproperlyConfigured(f"a route must be a queue name or a dict of options, got {target!r}")
