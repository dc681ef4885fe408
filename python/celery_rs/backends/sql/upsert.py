"""Write rows unless that would set one back: in one statement where the database has one for it.

PostgreSQL and SQLite: `INSERT ... ON CONFLICT DO UPDATE ... WHERE rule RETURNING task_id`.
MariaDB and MySQL, whose `ON DUPLICATE KEY UPDATE` has no WHERE: insert what is new and lock what is there in one
statement, apply the rule to that, and write what may replace it, before anybody else can.
Elsewhere: UPDATE by the rule, INSERT where there is no row, and UPDATE again where somebody else was quicker.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from celery_rs import states
from celery_rs.backends.sql.alchemy import exc, mysql, postgresql, sa, sqlite
from celery_rs.backends.sql.rows import Row
from celery_rs.backends.sql.rule import Standing, replaces, standing
from celery_rs.wire import supersedes

Write = Callable[[sa.Connection, sa.Table, Sequence[Row]], set[str]]

_RENEWED = (
    "status", "result", "date_done", "traceback", "children", "name", "args", "kwargs", "worker", "retries", "queue",
)  # fmt: skip
"""Every column that a write sets, but for the id and `stamps`."""


def write(connection: sa.Connection, tasks: sa.Table, rows: Sequence[Row]) -> set[str]:
    """The ids of those that were written. No id may be there twice."""
    return _WRITES.get(connection.dialect.name, write_portably)(connection, tasks, rows)


def _write_or_leave(connection: sa.Connection, tasks: sa.Table, rows: Sequence[Row]) -> set[str]:
    into: Any = postgresql.insert(tasks) if connection.dialect.name == "postgresql" else sqlite.insert(tasks)
    statement = into.on_conflict_do_update(
        index_elements=[tasks.c.task_id],
        set_={name: into.excluded[name] for name in (*_RENEWED, "stamps")},
        where=replaces(standing(into.excluded), standing(tasks.c)),
    ).returning(tasks.c.task_id)
    return set(connection.execute(statement, rows).scalars())


def _write_what_is_locked(connection: sa.Connection, tasks: sa.Table, rows: Sequence[Row]) -> set[str]:
    into = mysql.insert(tasks)
    inserted, over = set(), []
    for row, found in _inserted_or_locked(connection, tasks, rows):
        status, retries, stamps = found
        if stamps == row["stamps"]:
            inserted.add(row["task_id"])
        elif supersedes(row["status"], row["retries"], over=status or states.PENDING, over_attempt=retries or 0):
            over.append(row)
    if over:
        renewed: dict[str, Any] = {name: into.inserted[name] for name in (*_RENEWED, "stamps")}
        connection.execute(into.on_duplicate_key_update(renewed), over)
    return inserted | {row["task_id"] for row in over}


def _inserted_or_locked(
    connection: sa.Connection, tasks: sa.Table, rows: Sequence[Row]
) -> Iterator[tuple[Row, tuple[str | None, int | None, bytes | None]]]:
    """Each row with the status, the retries and the stamps that are there now, and stay until the transaction ends."""
    columns = (tasks.c.task_id, tasks.c.status, tasks.c.retries, tasks.c.stamps)
    statement = mysql.insert(tasks).on_duplicate_key_update(task_id=tasks.c.task_id)
    found: Any
    if connection.dialect.insert_returning:
        found = connection.execute(statement.returning(*columns), rows)
    else:
        connection.execute(statement, rows)
        ids = [row["task_id"] for row in rows]
        found = connection.execute(sa.select(*columns).where(tasks.c.task_id.in_(ids)).with_for_update())
    by_id = {row["task_id"]: row for row in rows}
    for task_id, *there in found:
        if task_id in by_id:
            yield by_id[task_id], tuple(there)


def write_portably(connection: sa.Connection, tasks: sa.Table, rows: Sequence[Row]) -> set[str]:
    new = Standing(sa.bindparam("new_status", type_=sa.String()), sa.bindparam("new_attempt", type_=sa.Integer()))
    update = (
        sa.update(tasks)
        .where(tasks.c.task_id == sa.bindparam("new_id"), replaces(new, standing(tasks.c)))
        .values({name: sa.bindparam(f"new_{name}") for name in (*_RENEWED, "stamps")})
    )
    return {row["task_id"] for row in rows if _write_one(connection, tasks, update, row)}


def _write_one(connection: sa.Connection, tasks: sa.Table, update: sa.Update, row: Row) -> bool:
    given = {f"new_{name}": value for name, value in row.items()}
    given |= {"new_id": row["task_id"], "new_attempt": row["retries"]}
    if connection.execute(update, given).rowcount:
        return True
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(tasks), row)
        return True
    except exc.IntegrityError:
        return bool(connection.execute(update, given).rowcount)


def insert_missing(connection: sa.Connection, table: sa.Table, row: Row) -> None:
    """A row, unless there is one that is the same by what is unique."""
    name = connection.dialect.name
    if name in ("postgresql", "sqlite"):
        into: Any = postgresql.insert(table) if name == "postgresql" else sqlite.insert(table)
        connection.execute(into.on_conflict_do_nothing(), row)
    elif name in ("mysql", "mariadb"):
        same = {key: table.c[key] for key in row}
        connection.execute(mysql.insert(table).on_duplicate_key_update(same), row)
    else:
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(table), row)
        except exc.IntegrityError:
            pass


_WRITES = {
    "postgresql": _write_or_leave,
    "sqlite": _write_or_leave,
    "mysql": _write_what_is_locked,
    "mariadb": _write_what_is_locked,
}
"""Dialect → how rows are written."""
