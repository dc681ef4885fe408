"""Make a table that is missing, add what an older one lacks, and say what is wrong with one of another shape.

Several processes may do so at once: who comes too late looks again.
"""

import random
import time
from collections.abc import Mapping
from typing import Any

from celery_rs.backends.sql.alchemy import exc, sa
from celery_rs.backends.sql.troubles import is_lost, reason

_MOST_TRIES = 20
_PAUSE_S = 0.05
_KINDS = {bytes: "bytes", str: "text", int: "a whole number"}


class WrongShape(Exception):
    """A table that is not what its name says, or cannot become so."""


def prepare(engine: sa.Engine, table: sa.Table) -> None:
    """Raises WrongShape, or what SQLAlchemy raises."""
    for tried in range(_MOST_TRIES):
        try:
            with engine.begin() as connection:
                table.metadata.create_all(connection, [table])
            _complete(engine, table)
            return
        except exc.DBAPIError as error:
            if error.statement is None or is_lost(error) or tried == _MOST_TRIES - 1:
                raise
            if _is_whole(engine, table):
                return
        time.sleep(random.uniform(0, _PAUSE_S))


def _complete(engine: sa.Engine, table: sa.Table) -> None:
    there = _columns(engine, table)
    for column in table.columns:
        if column.name in there:
            _check(table, column, there[column.name]["type"])
        elif column.name in _NEEDED:
            raise WrongShape(
                f"the table {table.fullname!r} has no column {column.name!r}, so that it is not one of results; "
                "name another in database_table_names"
            )
        else:
            _add(engine, table, column)
        if column.unique and not _is_unique(engine, table, column):
            raise WrongShape(
                f"the column {column.name!r} of the table {table.fullname!r} must be unique; make it so, or name "
                "another table in database_table_names"
            )
    if "id" in there:
        _number_rows(engine, table, there["id"])


def _number_rows(engine: sa.Engine, table: sa.Table, there: Mapping[str, Any]) -> None:
    """By the sequence that Celery uses; by the table itself, where somebody has made it so."""
    sequence = table.c.id.default
    if not isinstance(sequence, sa.Sequence) or not engine.dialect.supports_sequences:
        return
    if sa.inspect(engine).has_sequence(sequence.name, schema=sequence.schema):
        return
    if there.get("default") or there.get("identity") or there.get("autoincrement") is True:
        table.c.id.default = None
    else:
        sequence.create(engine)


_NEEDED = frozenset({"id", "task_id", "taskset_id", "status", "result", "date_done", "chord", "state"})


def _add(engine: sa.Engine, table: sa.Table, column: sa.Column[Any]) -> None:
    quoted = engine.dialect.identifier_preparer
    kind = column.type.compile(engine.dialect)
    todo = f"ALTER TABLE {quoted.format_table(table)} ADD COLUMN {quoted.format_column(column)} {kind}"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(todo)
    except exc.DBAPIError as error:
        if is_lost(error):
            raise
        if column.name not in _columns(engine, table):
            raise WrongShape(
                f"the table {table.fullname!r} has no column {column.name!r}, and it could not be added "
                f"({reason(error)}); have it done: {todo}"
            ) from None


def _check(table: sa.Table, column: sa.Column[Any], there: sa.types.TypeEngine[Any]) -> None:
    expected, found = _kind(column.type), _kind(there)
    if expected is not None and found is not None and expected is not found:
        raise WrongShape(
            f"the column {column.name!r} of the table {table.fullname!r} must hold {_KINDS[expected]}, but is "
            f"{there}; name another table in database_table_names"
        )


def _kind(type_: sa.types.TypeEngine[Any]) -> type | None:
    """None where it cannot be told, or does not matter."""
    try:
        kind = type_.python_type
    except NotImplementedError:
        return None
    return kind if kind in _KINDS else None


def _is_unique(engine: sa.Engine, table: sa.Table, column: sa.Column[Any]) -> bool:
    inspector = sa.inspect(engine)
    constraints = inspector.get_unique_constraints(table.name, schema=table.schema)
    # SQLite makes one for what a column says of itself.
    hidden = {"include_auto_indexes": True} if engine.dialect.name == "sqlite" else {}
    indexes = inspector.get_indexes(table.name, schema=table.schema, **hidden)
    alone = [column.name]
    return (
        inspector.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"] == alone
        or any(each["column_names"] == alone for each in constraints)
        or any(each["unique"] and each["column_names"] == alone for each in indexes)
    )


def _is_whole(engine: sa.Engine, table: sa.Table) -> bool:
    there = _columns(engine, table)
    return all(column.name in there for column in table.columns)


def _columns(engine: sa.Engine, table: sa.Table) -> dict[str, Mapping[str, Any]]:
    inspector = sa.inspect(engine)
    if not inspector.has_table(table.name, schema=table.schema):
        return {}
    return {column["name"]: column for column in inspector.get_columns(table.name, schema=table.schema)}
