"""What one message costs the file: a single statement, unless somebody waits for it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_rs.transports.sqlite import Database, SqliteTransport
from tests.conformance.calls import call, ids


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[SqliteTransport]:
    transport = SqliteTransport(Database(tmp_path / "tasks.sqlite3"))
    transport.queues()
    yield transport
    transport.close()


def statements_of_a_publish(transport: SqliteTransport) -> list[str]:
    """Each by its first word."""
    connection = transport.database._connection
    assert connection is not None
    said: list[str] = []
    connection.set_trace_callback(lambda statement: said.append(statement.split()[0]))
    transport.publish([call("one")])
    connection.set_trace_callback(None)
    return list(dict.fromkeys(said))  # a trigger is told as its statement once more


def list_as_idle(transport: SqliteTransport, name: str, *queues: str) -> None:
    with transport.database.transaction() as tx:
        ((id,),) = tx.execute(
            "INSERT INTO consumers (name, address, idle) VALUES (?, ?, 1) RETURNING id", (name, f"{name}.sock")
        ).fetchall()
        tx.executemany("INSERT INTO listens VALUES (?, ?)", [(queue, id) for queue in queues])


def test_a_message_that_nobody_waits_for_is_one_statement(transport):
    assert statements_of_a_publish(transport) == ["INSERT"]


def test_once_somebody_has_waited_a_message_and_the_choice_of_whom_to_wake_are_one_transaction(transport):
    list_as_idle(transport, "a", "q")
    transport.publish([call("first")])
    list_as_idle(transport, "b", "q")

    statements = statements_of_a_publish(transport)

    assert statements[0] == "BEGIN"
    assert statements.index("INSERT") < statements.index("UPDATE") < statements.index("COMMIT")


def test_a_message_is_one_statement_again_when_nobody_waits_any_more(transport):
    list_as_idle(transport, "a", "q")
    transport.publish([call("first")])
    transport.publish([call("second")])

    assert statements_of_a_publish(transport) == ["INSERT"]


def test_other_programs_may_write_to_the_file_while_somebody_waits(transport):
    transport.publish([call("first")])
    list_as_idle(transport, "a", "q")

    with sqlite3.connect(transport.database.path) as other:
        other.execute(
            "INSERT INTO messages (queue, state, priority, enqueued_at, envelope) "
            "SELECT queue, state, priority, enqueued_at, envelope FROM messages"
        )
    other.close()

    consumer = transport.consume(["q"])
    assert ids(consumer.receive(10, 0).deliveries) == ["first", "first"]
    consumer.close()
