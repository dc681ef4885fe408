"""A worker whose broker and result store are one Redis commits both in one step; what no script can read it stores."""

from pathlib import Path
from typing import Any

import pytest

from celery_rs.transports.redis import Script
from tests.interop.celery_side import OurProject
from tests.redis_server import OwnRedis


@pytest.mark.parametrize(
    ("settings", "apart"),
    [({}, 0), ({"result_compression": "gzip"}, 1), ({"result_serializer": "pickle"}, 1)],
    ids=["plain", "compressed", "pickle"],
)
def test_records_are_stored_in_the_step_that_ends_their_tasks(
    own_redis: OwnRedis, tmp_path: Path, settings: dict[str, Any], apart: int
) -> None:
    accepts = {"result_accept_content": ["json", "pickle"]}
    chosen = {"result_backend": own_redis.url, **accepts, **settings}
    with OurProject(tmp_path / "ours", own_redis.url, chosen) as ours:
        ours.worker("-c", "1")
        said = ours.python("say([sent.get(timeout=DEADLINE_S) for sent in [proj.add.delay(n, 1) for n in range(20)]])")

    assert said == list(range(1, 21))
    assert own_redis.call("SCRIPT", "EXISTS", Script.STORE.sha) == [apart]
    assert own_redis.call("SCRIPT", "EXISTS", Script.FINISH.sha) == [1]
