"""The tables, and their version (`PRAGMA user_version`).

A message is in exactly one state: ready → held → (begun) → gone, or delayed until it is due; a dead one lies in `dead`.
`id` is also the place in the queue: who is given back keeps it, who goes to the end gets a new one. `epoch` counts
the receives of its holder: a row belongs to a tag only while id, holder and epoch agree, so that neither
a later receive nor a reused id can be mistaken for it.
"""

import sqlite3
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from celery_rs.errors import ImproperlyConfigured

VERSION = 2
APPLICATION_ID = 0x43525331  # "CRS1"


class State(IntEnum):
    """`messages.state`; the statements spell the numbers, since partial indexes need literals."""

    READY = 0
    HELD = 1
    BEGUN = 2
    DELAYED = 3


# The envelope comes last: what is counted and searched lies before it, on the same page.
_TABLES = """
CREATE TABLE messages (
    id          INTEGER PRIMARY KEY,
    queue       TEXT    NOT NULL,
    state       INTEGER NOT NULL,
    priority    INTEGER NOT NULL,           -- higher first
    due         REAL,                       -- delayed: epoch seconds
    expires     REAL,
    holder      INTEGER,                    -- held, begun: consumers.id
    epoch       INTEGER,                    -- held, begun: which of its receives
    started     INTEGER NOT NULL DEFAULT 0, -- held: runs under late acknowledgement
    redelivered INTEGER NOT NULL DEFAULT 0,
    crashes     INTEGER NOT NULL DEFAULT 0,
    deliveries  INTEGER NOT NULL DEFAULT 0,
    enqueued_at REAL    NOT NULL,
    task        TEXT,
    task_id     TEXT,
    envelope    BLOB    NOT NULL
);
CREATE INDEX messages_ready   ON messages (queue, priority DESC, id) WHERE state = 0;
CREATE INDEX messages_delayed ON messages (queue, due)               WHERE state = 3;
CREATE INDEX messages_held    ON messages (holder)                   WHERE holder IS NOT NULL;

CREATE TABLE dead (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    queue       TEXT    NOT NULL,
    priority    INTEGER NOT NULL,
    task        TEXT,
    task_id     TEXT,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    crashes     INTEGER NOT NULL,
    deliveries  INTEGER NOT NULL,
    died_at     REAL    NOT NULL,
    envelope    BLOB    NOT NULL
);

-- Keys of messages that were published once already.
CREATE TABLE once (
    key TEXT PRIMARY KEY,
    at  REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX once_at ON once (at);

-- `idle`: it found nothing and waits at its address; who publishes wakes it.
CREATE TABLE consumers (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    address TEXT    NOT NULL,
    idle    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX consumers_idle ON consumers (idle) WHERE idle = 1;
CREATE TABLE listens (
    queue    TEXT    NOT NULL,
    consumer INTEGER NOT NULL,
    PRIMARY KEY (queue, consumer)
) WITHOUT ROWID;

CREATE TABLE queues (
    name TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE bindings (
    exchange TEXT NOT NULL,
    queue    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    pattern  TEXT NOT NULL,
    PRIMARY KEY (exchange, queue, pattern)
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    id       INTEGER PRIMARY KEY,
    exchange TEXT NOT NULL,
    pattern  TEXT NOT NULL,
    address  TEXT NOT NULL
);
CREATE TABLE broadcasts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    exchange    TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    at          REAL NOT NULL,
    envelope    BLOB NOT NULL
);

-- A dropped fact keeps its row without a value, so that everybody hears of it.
CREATE TABLE facts (
    kind    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    value   BLOB,
    until   REAL,
    version INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE facts_version (version INTEGER NOT NULL);
INSERT INTO facts_version VALUES (0);

CREATE TABLE results (
    id      INTEGER PRIMARY KEY,
    task_id TEXT    NOT NULL UNIQUE,
    state   TEXT    NOT NULL,
    rank    INTEGER NOT NULL,               -- celery_rs.states.precedence
    attempt INTEGER NOT NULL,
    expires REAL,
    meta    BLOB    NOT NULL
);
CREATE INDEX results_expires ON results (expires) WHERE expires IS NOT NULL;
CREATE TABLE waiters (
    task_id TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (task_id, address)
) WITHOUT ROWID;
CREATE INDEX waiters_address ON waiters (address);

CREATE TABLE chords (
    "group"       TEXT PRIMARY KEY,
    size          INTEGER,
    published     INTEGER NOT NULL DEFAULT 0,
    claim         TEXT,
    claimed_until REAL NOT NULL DEFAULT 0,
    expires       REAL
) WITHOUT ROWID;
CREATE INDEX chords_expires ON chords (expires) WHERE expires IS NOT NULL;
CREATE TABLE chord_parts (
    "group" TEXT NOT NULL,
    task_id TEXT NOT NULL,
    place   INTEGER,
    state   TEXT NOT NULL,
    result  BLOB NOT NULL,
    PRIMARY KEY ("group", task_id)
) WITHOUT ROWID;
"""
_UPGRADES = {
    1: """
CREATE TABLE saved_groups (
    "group" TEXT PRIMARY KEY,
    expires REAL,
    meta    BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX saved_groups_expires ON saved_groups (expires) WHERE expires IS NOT NULL;
"""
}
"""What makes the tables of a version those of the next."""


_SIGNATURE = """
SELECT user_version, application_id, (SELECT group_concat(name, ', ') FROM sqlite_schema WHERE type = 'table')
FROM pragma_user_version, pragma_application_id
"""


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Which version of the tables is there, 0 for none; raises on a database that is not ours to write to."""
    # One statement, so that it sees one state of a file that another process may be preparing.
    ((version, application, tables),) = connection.execute(_SIGNATURE).fetchall()
    if application == APPLICATION_ID:
        if version > VERSION:
            raise ImproperlyConfigured(
                f"database {str(path)!r} has schema {version} of a newer celery-rs, this one knows {VERSION}; "
                "upgrade celery-rs or name another file"
            )
        return int(version)
    if tables or version or application:
        found = f"tables {tables}" if tables else f"application id {application}"
        raise ImproperlyConfigured(
            f"database {str(path)!r} belongs to another program (it has {found}); name a file of its own for celery-rs"
        )
    return 0


def bring_up_to_date(connection: sqlite3.Connection, version: int) -> None:
    """Make the tables, or what they lack since `version`, inside the caller's transaction."""
    if version == 0:
        _run(connection, _TABLES)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for older in range(max(version, 1), VERSION):
        _run(connection, _UPGRADES[older])
    connection.execute(f"PRAGMA user_version = {VERSION}")


# In this connection only: no other program that writes to the file knows the function.
_WAITED_FOR = """
CREATE TEMP TRIGGER waited_for AFTER INSERT ON main.messages
WHEN EXISTS (SELECT 1 FROM main.consumers WHERE idle = 1)
BEGIN SELECT waited_for(NEW.queue); END
"""


def tell_of_waiting(connection: sqlite3.Connection, tell: Callable[[str], None]) -> None:
    """Have `tell` called with the queue of each message that this connection inserts while any consumer is idle."""
    connection.create_function("waited_for", 1, tell)
    connection.execute(_WAITED_FOR)


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)
