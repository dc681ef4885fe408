"""`app.control`: commands to running workers."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from celery_rs.context import AppLike
from celery_rs.control.connection import transport_of
from celery_rs.control.inspector import Inspect, Replies
from celery_rs.control.mailbox import ask, tell
from celery_rs.control.revoking import ids_of, record_revokes
from celery_rs.wire import ControlReply, ControlRequest, check_pattern

Destination = Sequence[str] | str | None
Matcher = Literal["glob", "pcre"]
Callback = Callable[[Replies], object]
Answers = list[Replies] | None

TIMEOUT_S = 1.0
_REVOKING = ("revoke", "terminate")


class Control:
    """Commands to the workers of one app. `destination` names nodes; without it and a pattern all are meant.

    Each command takes the options of `broadcast` too; with `reply=True` it returns the answers, else None, at once.
    """

    def __init__(self, app: AppLike) -> None:
        self._app = app

    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Destination = None,
        connection: Any = None,
        reply: bool = False,
        timeout: float | None = None,
        limit: int | None = None,
        callback: Callback | None = None,
        channel: Any = None,
        pattern: str | None = None,
        matcher: Matcher | None = None,
        **more: Any,
    ) -> Answers:
        """Send any command; what else is named goes to it. With `reply`: the answers `{node: reply}` as they came.

        Waiting ends with `limit` answers, those of all destinations, or after `timeout` seconds (1) without one.
        Raises ValueError for a pattern that cannot be matched.
        """
        transport = transport_of(channel or connection, lambda: self._app.transport, "remote control")
        arguments = {**(arguments or {}), **more}
        request = ControlRequest(
            command,
            arguments,
            _nodes(destination),
            pattern,
            check_pattern(pattern, matcher),
            clock=self._app.clock.forward(),
        )
        if command in _REVOKING and request.destination is None and pattern is None:
            record_revokes(self._app, ids_of(arguments.get("task_id", ())))
        base = self._app.conf.control_exchange
        if not reply:
            tell(transport, request, base=base)
            return None

        seconds = TIMEOUT_S if timeout is None else timeout

        def heard(one: ControlReply) -> None:
            self._app.clock.adjust(one.clock)
            if callback is not None:
                callback({one.node: one.reply})

        replies = ask(transport, request, base=base, timeout=seconds, limit=limit, heard=heard)
        _warn_of_twins(replies)
        return [{one.node: one.reply} for one in replies]

    def inspect(
        self,
        destination: Destination = None,
        timeout: float = 1.0,
        callback: Callback | None = None,
        connection: Any = None,
        app: AppLike | None = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: Matcher | None = None,
    ) -> Inspect:
        """Questions to these workers; to those of another `app`, if one is named."""
        control = self if app is None else Control(app)

        def asked(command: str, arguments: dict[str, Any]) -> list[Replies]:
            replies = control.broadcast(
                command,
                arguments,
                destination,
                connection,
                reply=True,
                timeout=timeout,
                limit=limit,
                callback=callback,
                pattern=pattern,
                matcher=matcher,
            )
            return replies or []

        return Inspect(asked)

    # tasks

    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Destination = None,
        terminate: bool = False,
        signal: str | int | None = "SIGTERM",
        **options: Any,
    ) -> Answers:
        """Have these tasks never start; with `terminate`, end the processes of those that run.

        The broker remembers it (unless only a `destination` is told), so workers that start later obey as well.
        """
        arguments = {"task_id": ids_of(task_id), "terminate": terminate, "signal": signal}
        return self.broadcast("revoke", arguments, destination, **options)

    def terminate(
        self,
        task_id: str | Iterable[str],
        destination: Destination = None,
        signal: str | int | None = "SIGTERM",
        **options: Any,
    ) -> Answers:
        """The same as `revoke` with `terminate`."""
        return self.revoke(task_id, destination, terminate=True, signal=signal, **options)

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any] | Sequence[str],
        destination: Destination = None,
        terminate: bool = False,
        signal: str | int | None = "SIGTERM",
        **options: Any,
    ) -> Answers:
        """Have tasks that carry one of these stamps (`{name: value or values}`) never start in running workers."""
        arguments = {"headers": headers, "terminate": terminate, "signal": signal}
        return self.broadcast("revoke_by_stamped_headers", arguments, destination, **options)

    def rate_limit(
        self, task_name: str, rate_limit: str | float | None, destination: Destination = None, **options: Any
    ) -> Answers:
        """Change a task's rate limit (`"10/m"`; 0 lifts it) in running workers, until they end."""
        arguments = {"task_name": task_name, "rate_limit": rate_limit}
        return self.broadcast("rate_limit", arguments, destination, **options)

    def time_limit(
        self,
        task_name: str,
        soft: float | None = None,
        hard: float | None = None,
        destination: Destination = None,
        **options: Any,
    ) -> Answers:
        """Change a task's time limits (seconds; None lifts one) in running workers, until they end."""
        arguments = {"task_name": task_name, "hard": hard, "soft": soft}
        return self.broadcast("time_limit", arguments, destination, **options)

    # queues

    def add_consumer(
        self,
        queue: str,
        exchange: str | None = None,
        exchange_type: str = "direct",
        routing_key: str | None = None,
        options: Mapping[str, Any] | None = None,
        destination: Destination = None,
        **more: Any,
    ) -> Answers:
        """Have workers consume from this queue too; `options` are further ones of the queue."""
        arguments = {"queue": queue, "exchange": exchange, "exchange_type": exchange_type, "routing_key": routing_key}
        return self.broadcast("add_consumer", {**arguments, **(options or {})}, destination, **more)

    def cancel_consumer(self, queue: str, destination: Destination = None, **options: Any) -> Answers:
        """Have workers consume no more from this queue."""
        return self.broadcast("cancel_consumer", {"queue": queue}, destination, **options)

    def purge(self, connection: Any = None) -> int:
        """Drop everything that waits in the app's queues, for good; returns how many messages that were."""
        app: Any = self._app
        transport = transport_of(connection, lambda: self._app.transport, "purging")
        return sum(transport.purge(queue.name) for queue in app.queues())

    discard_all = purge

    # workers

    def ping(self, destination: Destination = None, timeout: float = 1.0, **options: Any) -> list[Replies]:
        """Who is there: `[{node: {"ok": "pong"}}]`."""
        return self.broadcast("ping", None, destination, reply=True, timeout=timeout, **options) or []

    def shutdown(self, destination: Destination = None, **options: Any) -> Answers:
        """Have workers finish what runs, and end."""
        return self.broadcast("shutdown", {}, destination, **options)

    def pool_grow(self, n: int = 1, destination: Destination = None, **options: Any) -> Answers:
        """Have workers run `n` tasks more at once."""
        return self.broadcast("pool_grow", {"n": n}, destination, **options)

    def pool_shrink(self, n: int = 1, destination: Destination = None, **options: Any) -> Answers:
        """Have workers run `n` tasks fewer at once."""
        return self.broadcast("pool_shrink", {"n": n}, destination, **options)

    def autoscale(self, max: int, min: int, destination: Destination = None, **options: Any) -> Answers:
        """Change the bounds of workers that scale their pool."""
        return self.broadcast("autoscale", {"max": max, "min": min}, destination, **options)

    def pool_restart(
        self,
        modules: Sequence[str] | None = None,
        reload: bool = False,
        reloader: Any = None,
        destination: Destination = None,
        **options: Any,
    ) -> Answers:
        """Have workers replace their pool processes (worker_pool_restarts)."""
        arguments = {"modules": modules, "reload": reload, "reloader": reloader}
        return self.broadcast("pool_restart", arguments, destination, **options)

    # events

    def enable_events(self, destination: Destination = None, **options: Any) -> Answers:
        """Have workers send events of tasks."""
        return self.broadcast("enable_events", {}, destination, **options)

    def disable_events(self, destination: Destination = None, **options: Any) -> Answers:
        """Have workers send no events of tasks."""
        return self.broadcast("disable_events", {}, destination, **options)

    def heartbeat(self, destination: Destination = None, **options: Any) -> Answers:
        """Have workers send a heartbeat now."""
        return self.broadcast("heartbeat", {}, destination, **options)

    def election(self, id: str, topic: str, action: Any = None, **options: Any) -> Answers:
        """Call for an election among workers; ours take no part."""
        return self.broadcast("election", {"id": id, "topic": topic, "action": action}, **options)


def _nodes(destination: Destination) -> tuple[str, ...] | None:
    if destination is None:
        return None
    return (destination,) if isinstance(destination, str) else tuple(destination)


def _warn_of_twins(replies: Sequence[ControlReply]) -> None:
    counts = Counter(reply.node for reply in replies)
    twins = sorted(node for node, count in counts.items() if count > 1)
    if twins:
        warnings.warn(
            f"several workers answered as {', '.join(map(repr, twins))}; give each a name of its own with `-n`",
            stacklevel=3,
        )
