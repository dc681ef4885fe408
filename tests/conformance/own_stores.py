"""Stores of a user's own in the two shapes of Celery, each in a file, and their worlds."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery_rs.backends import BaseBackend, KeyValueStoreBackend, ResultBackend, open_backend
from tests.apps import make_app
from tests.conformance.store_world import StoreWorld, lacking

_NOT_ATOMIC = "the shape cannot compare and set"
_BY_ITSELF = "the user's class expires its values or does not"


@contextmanager
def shared(url: str | None) -> Iterator[dict[str, Any]]:
    """What the file of the URL holds; changes to it are kept."""
    assert url is not None
    path = Path(url.partition("://")[2])
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read() or "{}"
        values = json.loads(text)
        yield values
        changed = json.dumps(values)
        if changed != text:
            file.truncate(0)
            file.write(changed)


class OwnKeyValues(KeyValueStoreBackend):
    """As users write one: a few lines about single keys."""

    def get(self, key: bytes) -> Any:
        with shared(self.url) as values:
            return values.get(key.decode())

    def mget(self, keys: list[bytes]) -> Any:
        with shared(self.url) as values:
            return [values.get(key.decode()) for key in keys]

    def set(self, key: bytes, value: Any) -> None:
        with shared(self.url) as values:
            values[key.decode()] = value

    def delete(self, key: bytes) -> None:
        with shared(self.url) as values:
            values.pop(key.decode(), None)


class OwnRows(BaseBackend):
    """As users write one: a row for each result, in columns of their own."""

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **kwargs: Any
    ) -> Any:
        meta = self._get_result_meta(result, state, traceback, request)
        with shared(self.url) as rows:
            rows[task_id] = {**meta, "result": self.encode(result), "task_id": task_id}
        return result

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        with shared(self.url) as rows:
            row = rows.get(task_id)
        if row is None:
            return {"status": "PENDING", "result": None}
        return self.meta_from_decoded({**row, "result": self.decode(row["result"])})

    def _forget(self, task_id: str) -> None:
        with shared(self.url) as rows:
            rows.pop(task_id, None)

    def _save_group(self, group_id: str, result: Any) -> Any:
        with shared(self.url) as rows:
            rows[f"group {group_id}"] = result.as_tuple()
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        with shared(self.url) as rows:
            row = rows.get(f"group {group_id}")
        return row and {"result": row}

    def _delete_group(self, group_id: str) -> None:
        with shared(self.url) as rows:
            rows.pop(f"group {group_id}", None)


class OwnWorld(StoreWorld):
    """A class path with a URL."""

    lacks = lacking(
        {
            "clock": _BY_ITSELF,
            "failures expire alone": _BY_ITSELF,
            "chords": _NOT_ATOMIC,
            "extended": "Celery's shape keeps it only where the setting is on",
        }
    )
    store: type[BaseBackend]

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        url = f"{__name__}:{self.store.__name__}+own://{self.directory}/values"
        app = make_app(result_backend=url)
        return open_backend(url, {}, expires=expires, settings=app.conf, app=app)


class KeyValuesWorld(OwnWorld):
    store = OwnKeyValues


class RowsWorld(OwnWorld):
    store = OwnRows


STORES: Mapping[str, type[StoreWorld]] = {"own-key-values": KeyValuesWorld, "own-rows": RowsWorld}
