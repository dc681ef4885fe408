"""Clients die too: what they were told is there, and what they were not told is there whole or not at all."""

from pathlib import Path

from celery_rs.transports.sqlite import Database, SqliteTransport
from tests.unit.sqlite_processes import process

PRODUCER = """
t = open_transport(url, {})
for number in range(1_000_000):
    t.publish([call(f"{number}a"), call(f"{number}b")])
    say(number)
"""
KILLED_AFTER = 200


def test_what_a_killed_producer_was_told_is_there(tmp_path: Path) -> None:
    path = tmp_path / "tasks.sqlite3"
    with process(f"sqlite:///{path}", PRODUCER) as producer:
        told = [producer.hears()[0] for _ in range(KILLED_AFTER)]
        producer.kill()
        while rest := producer.hears():
            told += rest

    transport = SqliteTransport(Database(path))
    ready = transport.queues(["q"])["q"].ready or 0
    lost = [number for number in told if transport.find(f"{number}b") is None]
    transport.close()
    assert lost == []
    # One more batch may have been committed before its producer could say so; half a batch never.
    assert ready in (2 * len(told), 2 * len(told) + 2)
