"""The tables: Celery's two, and two of our own for chords, which Celery does not know.

A table that is made here takes values of any length and as many rows as there will be; Celery's own may be narrower.
"""

from collections.abc import Mapping
from typing import Any

from celery_rs.backends.sql.alchemy import mysql, sa

TASKS, GROUPS = "celery_taskmeta", "celery_tasksetmeta"
CHORDS, PARTS = "celery_rs_chords", "celery_rs_chord_parts"
LONGEST_WORD = 155
"""Characters of an id or a name."""

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORD = sa.String(LONGEST_WORD)
_BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_OPTIONS: Mapping[str, Any] = {
    "sqlite_autoincrement": True,
    # Ids and states are told apart by their bytes, as everywhere else.
    **{
        f"{dialect}_{option}": value
        for dialect in ("mysql", "mariadb")
        for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
    },
}


class Tables:
    """`names` and `schemas` are those of `task` and `group`; chords are in the schema of tasks."""

    def __init__(self, names: Mapping[str, str], schemas: Mapping[str, str]) -> None:
        self.tasks = sa.Table(
            names.get("task") or TASKS,
            sa.MetaData(schema=schemas.get("task")),
            sa.Column("id", _ID, sa.Sequence("task_id_sequence", schema=schemas.get("task")), primary_key=True),
            sa.Column("task_id", _WORD, unique=True),
            sa.Column("status", sa.String(50)),
            sa.Column("result", _BYTES),
            sa.Column("date_done", sa.DateTime(), index=True),
            sa.Column("traceback", _TEXT),
            sa.Column("children", _BYTES),
            sa.Column("name", _WORD),
            sa.Column("args", _BYTES),
            sa.Column("kwargs", _BYTES),
            sa.Column("worker", _WORD),
            sa.Column("retries", sa.Integer()),
            sa.Column("queue", _WORD),
            sa.Column("stamps", _BYTES),
            **_OPTIONS,
        )
        self.groups = sa.Table(
            names.get("group") or GROUPS,
            sa.MetaData(schema=schemas.get("group")),
            sa.Column("id", _ID, sa.Sequence("taskset_id_sequence", schema=schemas.get("group")), primary_key=True),
            sa.Column("taskset_id", _WORD, unique=True),
            sa.Column("result", _BYTES),
            sa.Column("date_done", sa.DateTime(), index=True),
            **_OPTIONS,
        )
        own = sa.MetaData(schema=schemas.get("task"))
        self.chords = sa.Table(
            CHORDS,
            own,
            sa.Column("chord", _WORD, primary_key=True),
            sa.Column("size", sa.Integer()),
            sa.Column("claim", sa.String(16)),
            sa.Column("claimed_until", sa.Double(), nullable=False, default=0.0),
            sa.Column("published", sa.SmallInteger(), nullable=False, default=0),
            sa.Column("expires", sa.Double()),
            **_OPTIONS,
        )
        self.parts = sa.Table(
            PARTS,
            own,
            sa.Column("chord", _WORD, primary_key=True),
            sa.Column("task_id", _WORD, primary_key=True),
            sa.Column("place", sa.Integer()),
            sa.Column("state", sa.String(50), nullable=False),
            sa.Column("result", _BYTES),
            **_OPTIONS,
        )

    @property
    def of_results(self) -> tuple[sa.Table, ...]:
        return self.tasks, self.groups

    @property
    def of_chords(self) -> tuple[sa.Table, ...]:
        return self.chords, self.parts
