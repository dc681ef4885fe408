"""Stores as people write them for Celery; all keep what they have in one file."""

import fcntl
import json
from contextlib import contextmanager

from celery import states
from celery.backends.base import BaseBackend, BaseDictBackend, KeyValueStoreBackend


@contextmanager
def shared(url):
    with open(url.partition("://")[2], "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        values = json.loads(file.read() or "{}")
        yield values
        file.truncate(0)
        json.dump(values, file)


class Values(KeyValueStoreBackend):
    supports_autoexpire = False

    def __init__(self, app, url=None, **kwargs):
        super().__init__(app, url=url, **kwargs)
        self.seconds = int(self.expires or 0)

    def get(self, key):
        with shared(self.url) as values:
            return values.get(key.decode(), [None])[0]

    def mget(self, keys):
        return [self.get(key) for key in keys]

    def set(self, key, value):
        with shared(self.url) as values:
            values[key.decode()] = [value, self.seconds]

    def delete(self, key):
        with shared(self.url) as values:
            values.pop(key.decode(), None)


class Rows(BaseDictBackend):
    def _store_result(self, task_id, result, state, traceback=None, request=None, **kwargs):
        row = {
            "state": state,
            "value": self.encode(result),
            "traceback": traceback,
            "children": self.current_task_children(request),
            "name": getattr(request, "task", None),
            "retries": getattr(request, "retries", None),
            "queue": (getattr(request, "delivery_info", None) or {}).get("routing_key"),
        }
        with shared(self.url) as rows:
            rows[task_id] = row
        return result

    def _get_task_meta_for(self, task_id):
        with shared(self.url) as rows:
            row = rows.get(task_id)
        if row is None:
            return {"status": states.PENDING, "result": None}
        return self.meta_from_decoded(
            {
                "status": row["state"],
                "result": self.decode(row["value"]),
                "traceback": row["traceback"],
                "children": row["children"],
                "task_id": task_id,
                "name": row["name"],
                "retries": row["retries"],
                "queue": row["queue"],
            }
        )

    def _forget(self, task_id):
        with shared(self.url) as rows:
            rows.pop(task_id, None)

    def _save_group(self, group_id, result):
        with shared(self.url) as rows:
            rows[f"group {group_id}"] = result.as_tuple()
        return result

    def _restore_group(self, group_id):
        from celery.result import result_from_tuple

        with shared(self.url) as rows:
            row = rows.get(f"group {group_id}")
        return row and {"result": result_from_tuple(row, self.app)}

    def _delete_group(self, group_id):
        with shared(self.url) as rows:
            rows.pop(f"group {group_id}", None)


class Whole(BaseBackend):
    """Keeps the record that the base makes."""

    def _store_result(self, task_id, result, state, traceback=None, request=None, **kwargs):
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        with shared(self.url) as rows:
            rows[task_id] = self.encode(meta)

    def _get_task_meta_for(self, task_id):
        with shared(self.url) as rows:
            raw = rows.get(task_id)
        return self.decode_result(raw) if raw else {"status": states.PENDING, "result": None}

    def _forget(self, task_id):
        with shared(self.url) as rows:
            rows.pop(task_id, None)
