"""Stored records."""

import json
from datetime import datetime

import pytest

from celery_rs.errors import ContentError, EncodeError
from celery_rs.wire import decode_meta, encode_meta
from tests.recorded import metas


def moment(meta: dict[str, object]) -> float:
    done = meta["date_done"]
    return datetime.fromisoformat(done).timestamp() if isinstance(done, str) else 0.0


@pytest.mark.parametrize("name", sorted(metas()))
def test_records_are_written_byte_for_byte_as_celery_writes_them(name: str) -> None:
    recorded = metas()[name]
    meta = json.loads(recorded)
    known = {"status", "result", "traceback", "children", "date_done", "group_id", "parent_id", "task_id"}
    extended = {key: value for key, value in meta.items() if key not in known}

    written = encode_meta(
        meta["task_id"],
        meta["status"],
        meta["result"],
        now=moment(meta),
        traceback=meta["traceback"],
        children=None if meta["children"] is None else [child[0][0] for child in meta["children"]],
        group_id=meta.get("group_id"),
        parent_id=meta.get("parent_id"),
        extended=extended or None,
    )

    assert written.decode() == recorded


@pytest.mark.parametrize("name", sorted(metas()))
def test_records_that_celery_wrote_are_read(name: str) -> None:
    recorded = json.loads(metas()[name])

    meta = decode_meta(metas()[name].encode())

    assert (meta.status, meta.result, meta.task_id) == (recorded["status"], recorded["result"], recorded["task_id"])
    assert meta.parent_id == recorded.get("parent_id")


def test_a_result_that_json_lacks_is_refused_by_name() -> None:
    with pytest.raises(EncodeError, match=r"result\[0\]: complex is not JSON"):
        encode_meta("id", "SUCCESS", [1j], now=0.0)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"status": 3}'])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(ContentError):
        decode_meta(raw)
