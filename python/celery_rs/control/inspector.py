"""`app.control.inspect()`: questions to workers, answered as `{node: reply}`."""

from collections.abc import Callable
from typing import Any

from celery_rs.control.revoking import ids_of

Replies = dict[str, Any]
Ask = Callable[[str, dict[str, Any]], list[Replies]]


class Inspect:
    """Questions to the same workers. Each method returns `{node: reply}`, or None when nobody answered."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def request(self, method: str, **arguments: Any) -> Replies | None:
        """Any inspect command by name."""
        replies = self._ask(method, arguments)
        return {node: reply for one in replies for node, reply in one.items()} or None

    def ping(self) -> Replies | None:
        return self.request("ping")

    def active(self, safe: bool = False) -> Replies | None:
        """The tasks that run now; `safe`: arguments as their senders' reprs."""
        return self.request("active", safe=safe)

    def reserved(self, safe: bool = False) -> Replies | None:
        """The tasks that workers hold and have not started."""
        return self.request("reserved", safe=safe)

    def scheduled(self, safe: bool | None = None) -> Replies | None:
        """The tasks that wait for their ETA: in the worker, or (the first 1,000) at the broker for its queues."""
        return self.request("scheduled")

    def revoked(self) -> Replies | None:
        """The ids of revoked tasks."""
        return self.request("revoked")

    def query_task(self, *ids: Any) -> Replies | None:
        """Where these tasks are: `{node: {id: [place, info]}}`, place being active, reserved or scheduled."""
        given = ids[0] if len(ids) == 1 and isinstance(ids[0], list | tuple) else ids
        return self.request("query_task", ids=ids_of(given))

    def stats(self) -> Replies | None:
        return self.request("stats")

    def clock(self) -> Replies | None:
        """The workers' logical clocks."""
        return self.request("clock")

    def conf(self, with_defaults: bool = False) -> Replies | None:
        """The workers' settings, secrets masked."""
        return self.request("conf", with_defaults=with_defaults)

    def registered(self, *attributes: str) -> Replies | None:
        """The tasks that workers know, with these attributes (by default exchange, routing_key, rate_limit)."""
        return self.request("registered", taskinfoitems=list(attributes))

    registered_tasks = registered

    def active_queues(self) -> Replies | None:
        """The queues that workers consume from."""
        return self.request("active_queues")

    def report(self) -> Replies | None:
        return self.request("report")

    def hello(self, from_node: str, revoked: list[str] | None = None) -> Replies | None:
        """What workers ask each other when they start."""
        return self.request("hello", from_node=from_node, revoked=revoked)

    def memsample(self) -> Replies | None:
        return self.request("memsample")

    def memdump(self, samples: int = 10) -> Replies | None:
        return self.request("memdump", samples=samples)

    def objgraph(self, type: str = "Request", n: int = 200, max_depth: int = 10) -> Replies | None:
        return self.request("objgraph", num=n, max_depth=max_depth, type=type)
