"""Housekeeping, done by whoever consumes: move the log, drop what has expired."""

import time

from celery_rs.transports.sqlite import files
from celery_rs.transports.sqlite.database import WORKER_LOG_PAGES, Database
from celery_rs.transports.sqlite.locks import Lease
from celery_rs.transports.sqlite.messages import ONCE_S
from celery_rs.transports.sqlite.subscription import KEPT_S
from celery_rs.transports.sqlite.wake import SUFFIX

_EVERY_S = 30.0
_ROWS = 1_000
"""So many rows at most leave in one transaction: nobody is to wait for a spring clean."""

_CHORDS = 'SELECT "group" FROM chords WHERE expires <= :now ORDER BY expires LIMIT :rows'
_EXPIRED = (
    "DELETE FROM results WHERE id IN (SELECT id FROM results WHERE expires <= :now LIMIT :rows)",
    'DELETE FROM saved_groups WHERE "group" IN (SELECT "group" FROM saved_groups WHERE expires <= :now LIMIT :rows)',
    f'DELETE FROM chord_parts WHERE "group" IN ({_CHORDS})',
    f'DELETE FROM chords WHERE "group" IN ({_CHORDS})',
    "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE at <= :now - :once LIMIT :rows)",
    "DELETE FROM broadcasts WHERE id IN (SELECT id FROM broadcasts WHERE at <= :now - :kept LIMIT :rows)",
    "DELETE FROM facts WHERE until <= :now",
)


class Upkeep:
    """Called every few seconds; does the rare things rarely."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = time.monotonic() + _EVERY_S

    def run(self) -> None:
        self._database.checkpoint(WORKER_LOG_PAGES)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self.sweep()

    def sweep(self, older_s: float = KEPT_S) -> None:
        """Drop what has expired, and the files of the dead that are older than `older_s` seconds."""
        parameters = {"now": self._database.clock(), "rows": _ROWS, "once": ONCE_S, "kept": KEPT_S}
        more = True
        while more:
            with self._database.transaction() as tx:
                gone = [tx.execute(statement, parameters).rowcount for statement in _EXPIRED]
            more = max(gone) >= _ROWS
        self._sweep_directory(older_s)

    def _sweep_directory(self, older_s: float) -> None:
        """Sockets and leases whose owners were killed before or after they had them listed."""
        doors = self._database.doors()
        listed = {name for (name,) in self._database.read("SELECT name FROM consumers")}
        for file in files.directory_beside(self._database.path).iterdir():
            try:
                if time.time() - file.stat().st_mtime <= older_s or file.name in listed:
                    continue
                if file.suffix != SUFFIX:
                    if (lease := Lease.take_over(file)) is not None:
                        lease.end()
                elif not doors.answers(file.name):
                    doors.remove(file.name)
            except FileNotFoundError:
                pass  # somebody else sweeps, too
