"""Stores of a user's own for test_own_stores.py: good ones, and each kind of bad one."""

from datetime import UTC, datetime
from typing import Any

from celery_rs.backends import BaseBackend, KeyValueStoreBackend
from celery_rs.backends.memory import open_store as open_memory
from celery_rs.backends.opening import Opening

values: dict[Any, Any] = {}


class Dict(KeyValueStoreBackend):
    def get(self, key: Any) -> Any:
        return values.get(key)

    def set(self, key: Any, value: Any) -> None:
        values[key] = value

    def delete(self, key: Any) -> None:
        values.pop(key, None)


class TextKeys(Dict):
    @staticmethod
    def key_t(key: str | bytes) -> str:
        return key.decode() if isinstance(key, bytes) else key


class Answers(Dict):
    """mget answers in each way that Celery takes."""

    way: Any = list

    def mget(self, keys: list[Any]) -> Any:
        found = [self.get(key) for key in keys]
        if self.way is dict:
            return {key: value for key, value in zip(keys, found, strict=True) if value is not None}
        return iter(found) if self.way is iter else found


class Loud(Dict):
    """Adds to what the base does, and says something of its own."""

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        values.setdefault("told", []).append((task_id, type(result).__name__, state))
        return super().store_result(task_id, result, state, *args, **kwargs)

    def shout(self) -> str:
        return f"{self.url}!"


class Rows(BaseBackend):
    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        values[task_id] = {"status": state, "result": result, "traceback": traceback, "args": request.args}

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        return self.meta_from_decoded(dict(values.get(task_id, {"status": "PENDING", "result": None})))


class Objects(Rows):
    """Gives Python's own objects back, where others give text."""

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        meta = super()._get_task_meta_for(task_id)
        done = datetime(2030, 1, 1, tzinfo=UTC)
        return meta | {"date_done": done, "children": [self.app.AsyncResult("child")]}


class OfOurs:
    @staticmethod
    def open_store(opening: Opening) -> Any:
        return open_memory(opening._replace(url="memory://of-ours"))


class Broken(Dict):
    def get(self, key: Any) -> Any:
        raise KeyError("no disk")


class Picky(Dict):
    """Refuses what has `poison` in it, and while `down` everything."""

    down = False

    def set(self, key: Any, value: Any) -> None:
        if self.down or ("poison" in value and "ValueError" not in value):
            raise ValueError("disk is away" if self.down else "never that")
        super().set(key, value)


class ShortIds(Dict):
    """Takes no long ids, and cannot even be asked for ids with a slash."""

    def get(self, key: Any) -> Any:
        if b"/" in key:
            raise ValueError("no such name")
        return super().get(key)

    def set(self, key: Any, value: Any) -> None:
        if len(key) > 100:
            raise ValueError("name too long")
        super().set(key, value)


class NotMade(Dict):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no licence")


class Half(KeyValueStoreBackend):
    def get(self, key: Any) -> Any:
        return None


class NoStore:
    pass
