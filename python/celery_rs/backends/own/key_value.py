"""`KeyValueStoreBackend`, for stores of the user's own that keep bytes by key: Celery's keys and values."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from celery_rs import states
from celery_rs.backends.key_value import Keys
from celery_rs.backends.own.base import BaseBackend
from celery_rs.backends.own.call import Call, Member
from celery_rs.errors import ContentError

Key = Any
"""What `key_t` makes: bytes here, text where a subclass says so."""


def as_bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


class KeyValueStoreBackend(BaseBackend):
    """A subclass gives `get` and `set`; `mget`, `delete` and `cleanup` if it can. `get` of an unknown key is None.

    `set` is given text where the serializer writes text (JSON, YAML), else bytes; `get` may give either.
    """

    key_t: Callable[[Any], Key] = as_bytes
    task_keyprefix: Key = "celery-task-meta-"
    group_keyprefix: Key = "celery-taskset-meta-"
    chord_keyprefix: Key = "chord-unlock-"
    implements_incr = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.key_t = getattr(self.key_t, "__func__", self.key_t)  # a function of the class, not a method
        super().__init__(*args, **kwargs)
        prefix = Keys.of(self.app.conf.result_backend_transport_options).prefix
        for name in ("task_keyprefix", "group_keyprefix", "chord_keyprefix"):
            setattr(self, name, self.key_t(_joined(prefix, getattr(self, name))))

    # What a subclass gives

    def get(self, key: Key) -> Any:
        raise self._lacking("get")

    def mget(self, keys: list[Key]) -> Any:
        """The values in the order of the keys, None for what is not there; or a mapping of those that are."""
        raise self._lacking("mget")

    def set(self, key: Key, value: str | bytes) -> Any:
        raise self._lacking("set")

    def delete(self, key: Key) -> Any:
        raise self._lacking("delete")

    def incr(self, key: Key) -> Any:
        raise self._lacking("incr")

    def expire(self, key: Key, value: float) -> Any:
        """Have a key gone after so many seconds."""

    def _set_with_state(self, key: Key, value: str | bytes, state: str) -> Any:
        return self.set(key, value)

    # Keys

    def get_key_for_task(self, task_id: str, key: str = "") -> Key:
        return self._get_key_for(self.task_keyprefix, task_id, key)

    def get_key_for_group(self, group_id: str, key: str = "") -> Key:
        return self._get_key_for(self.group_keyprefix, group_id, key)

    def get_key_for_chord(self, group_id: str, key: str = "") -> Key:
        return self._get_key_for(self.chord_keyprefix, group_id, key)

    def _get_key_for(self, prefix: Key, id: str | UUID, key: str = "") -> Key:
        if not id:
            raise ValueError(f"expected the id of a task or a group, got {id!r}")
        return prefix + self.key_t(str(id)) + self.key_t(key)

    # Records

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """A success stays; with the rest of the rule the worker has compared before it comes here."""
        if not isinstance(request, Call) and self._get_task_meta_for(task_id)["status"] == states.SUCCESS:
            return result
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        self._set_with_state(self.get_key_for_task(task_id), self.encode(meta | {"task_id": task_id}), state)
        return result

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        return self._read(self.get(self.get_key_for_task(task_id)))

    def metas_for(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """In one question, unless the subclass answers single ones in a way of its own."""
        kind, base = type(self), KeyValueStoreBackend
        own_way = kind._get_task_meta_for is not base._get_task_meta_for or kind.get_task_meta is not base.get_task_meta
        if kind.mget is base.mget or own_way:
            return super().metas_for(ids)
        keys = {self.get_key_for_task(task_id): task_id for task_id in ids}
        found = self.mget(list(keys)) if keys else ()
        values = found if isinstance(found, Mapping) else dict(zip(keys, found, strict=False))
        return {task_id: self._read(values.get(key)) for key, task_id in keys.items()}

    def _read(self, value: Any) -> dict[str, Any]:
        if not value:
            return {"status": states.PENDING, "result": None}
        meta = self.decode(value)
        if not isinstance(meta, dict) or not isinstance(meta.get("status"), str):
            raise ContentError(f"expected a stored result with a status, got {str(value)[:80]!r}")
        return self.meta_from_decoded(meta)

    def _forget(self, task_id: str) -> None:
        self.delete(self.get_key_for_task(task_id))

    # Groups

    def _save_group(self, group_id: str, result: Any) -> Any:
        value = self.encode({"result": result.as_tuple()})
        self._set_with_state(self.get_key_for_group(group_id), value, states.SUCCESS)
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        value = self.get(self.get_key_for_group(group_id))
        if not value:
            return None
        meta: dict[str, Any] = self.decode(value)
        return meta | {"result": Member(meta["result"])}

    def _delete_group(self, group_id: str) -> None:
        self.delete(self.get_key_for_group(group_id))


def _joined(prefix: str, given: str | bytes) -> str | bytes:
    return prefix + given if isinstance(given, str) else prefix.encode() + given
