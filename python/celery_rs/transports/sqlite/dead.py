"""Dead letters. Their ids rise with every burial and are never used again."""

from collections.abc import Collection, Mapping, Sequence

from celery_rs.transports.base import DeadLetter, DeadPage
from celery_rs.transports.edit import with_arguments
from celery_rs.transports.sqlite import messages
from celery_rs.transports.sqlite.database import Database

_COLUMNS = "id, queue, task, task_id, reason, detail, crashes, deliveries, died_at, envelope"


class SqliteDeadLetters:
    """See `transports.base.DeadLetters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, queue: str | None = None, after: str | None = None, limit: int = 100) -> DeadPage:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM dead WHERE id > ? AND queue = ifnull(?, queue) ORDER BY id LIMIT ?",
            (_number(after or "0"), queue, limit + 1),
        )
        letters = [_letter(row) for row in rows[:limit]]
        return DeadPage(letters, letters[-1].id if letters and len(rows) > limit else None)

    def get(self, id: str) -> DeadLetter:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM dead WHERE id = ?", (_number(id),))
        if not rows:
            raise KeyError(id)
        return _letter(rows[0])

    def retry(self, ids: Collection[str]) -> int:
        now = self._database.clock()
        with self._database.transaction() as tx:
            rows = []
            for id in dict.fromkeys(ids):
                rows += tx.execute(
                    "DELETE FROM dead WHERE id = ? "
                    "RETURNING queue, 0, priority, NULL, NULL, ?, task, task_id, envelope",
                    (_number(id), now),
                ).fetchall()
            messages.insert(tx, rows)
        return len(rows)

    def edit(self, id: str, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT envelope FROM dead WHERE id = ?", (_number(id),)).fetchall()
            if not rows:
                raise KeyError(id)
            envelope = with_arguments(rows[0][0], args, kwargs)
            tx.execute("UPDATE dead SET envelope = ? WHERE id = ?", (envelope, _number(id)))

    def purge(self, before: float | None = None) -> int:
        with self._database.transaction() as tx:
            return tx.execute("DELETE FROM dead WHERE died_at < ifnull(?, 9e999)", (before,)).rowcount


def _letter(row: tuple[object, ...]) -> DeadLetter:
    id, *rest = row
    return DeadLetter(str(id), *rest)  # type: ignore[arg-type]  # the columns are the fields, in order


def _number(id: str) -> int:
    """An id that is no number is nobody's."""
    return int(id) if id.isdecimal() and len(id) < 19 else -1
