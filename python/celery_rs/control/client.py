"""`app.control`: commands to running workers."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from celery_rs.context import AppLike
from celery_rs.control.inspector import Inspect, Replies
from celery_rs.control.mailbox import ask, tell
from celery_rs.wire import ControlReply, ControlRequest

Destination = Sequence[str] | str | None
Matcher = Literal["glob", "pcre"]
Callback = Callable[[Replies], object]


class Control:
    """Commands to the workers of one app. `destination` names nodes; without it and a pattern all are meant."""

    def __init__(self, app: AppLike) -> None:
        self._app = app

    def broadcast(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        destination: Destination = None,
        reply: bool = False,
        timeout: float = 1.0,
        limit: int | None = None,
        callback: Callback | None = None,
        pattern: str | None = None,
        matcher: Matcher = "glob",
    ) -> list[Replies] | None:
        """Send any command. With `reply`: the answers `{node: reply}` as they came; without: None, at once.

        Waiting ends with `limit` answers, those of all destinations, or after `timeout` seconds without one.
        """
        request = ControlRequest(command, arguments or {}, _nodes(destination), pattern, matcher)
        base = self._app.conf.control_exchange
        if not reply:
            tell(self._app.transport, request, base=base)
            return None

        def heard(one: ControlReply) -> None:
            if callback is not None:
                callback({one.node: one.reply})

        replies = ask(self._app.transport, request, base=base, timeout=timeout, limit=limit, heard=heard)
        _warn_of_twins(replies)
        return [{one.node: one.reply} for one in replies]

    def inspect(
        self,
        destination: Destination = None,
        timeout: float = 1.0,
        callback: Callback | None = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: Matcher = "glob",
    ) -> Inspect:
        """Questions to these workers."""

        def asked(command: str, arguments: dict[str, Any]) -> list[Replies]:
            replies = self.broadcast(command, arguments, destination, True, timeout, limit, callback, pattern, matcher)
            return replies or []

        return Inspect(asked)

    def ping(self, destination: Destination = None, timeout: float = 1.0, **options: Any) -> list[Replies]:
        """Who is there: `[{node: {"ok": "pong"}}]`."""
        return self.broadcast("ping", destination=destination, reply=True, timeout=timeout, **options) or []

    def rate_limit(
        self, task_name: str, rate_limit: str | float | None, destination: Destination = None, **options: Any
    ) -> list[Replies] | None:
        """Change a task's rate limit (`"10/m"`; 0 lifts it) in running workers, until they end."""
        arguments = {"task_name": task_name, "rate_limit": rate_limit}
        return self.broadcast("rate_limit", arguments, destination, **options)


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
