"""What a store of Celery's shape is told of a call beside its result: as much as the record says."""

from collections.abc import Mapping
from typing import Any


class Call:
    """As Celery's request has it. `args`, `kwargs` and `task` are known with `result_extended`; else they are None."""

    def __init__(self, meta: Mapping[str, Any], attempt: int) -> None:
        self.id = meta.get("task_id")
        self.task = meta.get("name")
        self.args = meta.get("args")
        self.kwargs = meta.get("kwargs")
        self.argsrepr = None if self.args is None else repr(self.args)
        self.kwargsrepr = None if self.kwargs is None else repr(self.kwargs)
        self.hostname = meta.get("worker")
        self.retries = attempt
        self.group = meta.get("group_id")
        self.parent_id = meta.get("parent_id")
        self.children = [Member(child) for child in meta.get("children") or ()]
        self.delivery_info = {"routing_key": meta.get("queue")} if meta.get("queue") else {}
        self.date_done = meta.get("date_done")
        self.ignore_result = False
        self.chord = self.chain = self.errbacks = self.callbacks = self.root_id = self.eta = self.expires = None
        self.stamps: dict[str, Any] = {}
        self.stamped_headers: list[str] = []
        self.properties: dict[str, Any] = {}

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


class Member:
    """A result as its tuple: a child of a task, or a saved group."""

    def __init__(self, told: Any) -> None:
        self._told = told
        (self.id, _parent), members = told
        self.results = [Member(member) for member in members or ()]

    def as_tuple(self) -> Any:
        return self._told

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"
