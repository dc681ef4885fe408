"""The result store `django-db`: django-celery-results' tables, through the ORM of the project.

So the project's database routers and its receivers of `post_save` have their say. The connections are Django's, one
for each thread, and are never closed here; a transaction that the caller is in stays as it is.

A batch is one transaction. It locks the rows that are there (a SQLite, which has no such locks, as a whole), applies
the rule, and writes. The clock is Django's, which also dates the rows.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn, TypeVar

from celery_rs import states
from celery_rs.backends.base import ChordClaim
from celery_rs.backends.chord_book import ChordBook, Step
from celery_rs.backends.django.inherited import forget_inherited
from celery_rs.backends.django.needed import expect_a_project, of_django
from celery_rs.backends.django.rows import attempt_of, columns_of, group_columns, group_meta, is_text, record_of
from celery_rs.backends.django.tables import apps, db, flaw, model
from celery_rs.backends.looking import watch_by_looking
from celery_rs.backends.opening import Opening
from celery_rs.errors import BackendError, BackendStoreError
from celery_rs.wire import ChordPart, TaskResult, encode_failure, encode_meta, supersedes

logger = logging.getLogger("celery.backends.django")

models = of_django("django.db.models")
timezone = of_django("django.utils.timezone")

T = TypeVar("T")

_IDS_AT_ONCE = 500
_TRIES = 10
"""How often a batch is written anew because somebody else was quicker."""
_SHORT = 10_000
"""A record of fewer bytes is not refused for its size: saying so would be refused as well."""
_FIRST_MINUTE = 1_000_000
"""What is less is a count of Celery's."""
_FETCHED = (
    "task_id", "status", "result", "content_type", "content_encoding", "date_done", "traceback", "meta", "task_name",
    "task_args", "task_kwargs", "worker",
)  # fmt: skip


class _RowRefused(BackendError):
    """The database takes no such value."""


class DjangoDatabaseBackend:
    """See `backends.base.ResultBackend`."""

    place: Literal["parent", "child"] = "child"

    def __init__(self, opening: Opening) -> None:
        self._codec = opening.codec
        self._own = opening.read_by
        self._accept = opening.accept
        self._expires = opening.expires
        self._failure_expires = opening.failure_expires
        self._book = ChordBook(self._change_page, lambda: _aware(timezone.now()).timestamp())
        if apps.ready:
            model("TaskResult")

    # records

    def store(self, records: Sequence[TaskResult]) -> Sequence[bool]:
        tasks = model("TaskResult")
        columns = [self._columns(tasks, record) for record in records]
        alias = db.router.db_for_write(tasks)
        try:
            return self._ask(tasks, alias, lambda alias: self._store(alias, tasks, records, columns))
        except BackendError as error:
            if not isinstance(error, _RowRefused) and not _is_too_much(alias, records):
                raise
            if len(records) > 1:
                return [written for record in records for written in self.store([record])]
            return self._store_instead(records[0], error)

    def _store_instead(self, refused: TaskResult, error: BackendError) -> list[bool]:
        """A result that the database can never take is a failure that says so; progress is not kept."""
        logger.error("%s: the record of task %s is refused", error, refused.task_id)
        if refused.state in states.READY_STATES:
            if len(refused.meta) < _SHORT:
                raise error
            own = self._codec.serializer
            failure = encode_failure(BackendStoreError(f"{error}; it has {len(refused.meta)} bytes"), own)
            meta = encode_meta(
                refused.task_id,
                states.FAILURE,
                failure,
                now=_aware(timezone.now()).timestamp(),
                codec=self._codec,
                attempt=refused.attempt,
            )
            self.store([refused._replace(state=states.FAILURE, meta=meta)])
        return [False]

    def _columns(self, tasks: Any, record: TaskResult) -> dict[str, Any] | None:
        """None for a record that the table has no room for: it would be refused again and again."""
        for field, value in (("task_id", record.task_id), ("status", record.state)):
            most = tasks._meta.get_field(field).max_length
            if len(value) > most or not is_text(value):
                what = f"its {field} is no text of at most {most} characters: {value[:80]!a}"
                logger.error("%s: a record is dropped, %s", self.describe(), what)
                return None
        started = {"date_started": timezone.now()} if record.state == states.STARTED else {}
        return columns_of(record, self._own) | started

    def _store(
        self, alias: str, tasks: Any, records: Sequence[TaskResult], columns: Sequence[dict[str, Any] | None]
    ) -> list[bool]:
        heard = _is_heard_of(tasks)
        with db.transaction.atomic(using=alias):
            ids = {record.task_id for record, given in zip(records, columns, strict=True) if given is not None}
            rows = {row.task_id: row for row in self._locked(alias, tasks, ids, heard)}
            written, fresh = self._decide(rows, records, columns)
            if heard:
                _save(alias, tasks, rows, fresh)
            else:
                _save_at_once(alias, tasks, rows, fresh)
        return written

    def _locked(self, alias: str, tasks: Any, ids: Collection[str], whole: bool) -> list[Any]:
        found = []
        manager = tasks._default_manager.using(alias)
        listed = sorted(ids)
        for start in range(0, len(listed), _IDS_AT_ONCE):
            rows = manager.filter(task_id__in=listed[start : start + _IDS_AT_ONCE])
            # All lock in one order, so that no two wait for each other.
            rows = _for_update(alias, rows, "status").order_by("task_id")
            found += rows if whole else rows.only("task_id", "status", "meta", "content_encoding", "date_done")
        return found

    def _decide(
        self, rows: dict[str, Any], records: Sequence[TaskResult], columns: Sequence[dict[str, Any] | None]
    ) -> tuple[list[bool], dict[str, dict[str, Any]]]:
        """Which records count, and what is to be written of each task."""
        over = {
            row.task_id: (row.status, attempt_of(row, self._own)) for row in rows.values() if not self._has_expired(row)
        }
        written = []
        fresh: dict[str, dict[str, Any]] = {}
        for record, given in zip(records, columns, strict=True):
            old = over.get(record.task_id)
            counts = given is not None and (
                old is None or supersedes(record.state, record.attempt, over=old[0], over_attempt=old[1])
            )
            if given is not None and counts:
                over[record.task_id] = (record.state, record.attempt)
                fresh[record.task_id] = fresh.get(record.task_id, {}) | given
            written.append(counts)
        return written, fresh

    def fetch(self, ids: Collection[str]) -> dict[str, TaskResult]:
        tasks = model("TaskResult")
        there = [id for id in ids if is_text(id)]
        rows = self._ask(tasks, db.router.db_for_read(tasks), lambda alias: self._rows(alias, tasks, there))
        return {row["task_id"]: self._record(row) for row in rows}

    def _rows(self, alias: str, tasks: Any, ids: Sequence[str]) -> list[dict[str, Any]]:
        kept = tasks._default_manager.using(alias).exclude(self._expired()).order_by()
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += kept.filter(task_id__in=ids[start : start + _IDS_AT_ONCE]).values(*_FETCHED)
        return found

    def _record(self, row: dict[str, Any]) -> TaskResult:
        return record_of(row, _aware(row["date_done"]), self._codec, self._accept)

    def watch(self, ids: Collection[str], timeout: float | None) -> Iterator[TaskResult]:
        return watch_by_looking(self.fetch, ids, timeout, time.sleep)

    def forget(self, ids: Collection[str]) -> None:
        there = [id for id in ids if is_text(id)]
        self._change("TaskResult", lambda rows: rows.filter(task_id__in=there).delete())

    # groups

    def save_group(self, group: str, meta: bytes) -> None:
        columns = group_columns(meta, self._own)
        self._change("GroupResult", lambda rows: rows.update_or_create(group_id=group, defaults=columns))

    def fetch_group(self, group: str) -> bytes | None:
        groups = model("GroupResult")
        rows = self._ask(
            groups,
            db.router.db_for_read(groups),
            lambda alias: list(
                groups._default_manager.using(alias).filter(group_id=group).exclude(self._expired_groups())
            ),
        )
        return group_meta(rows[0], self._own, self._accept) if rows else None

    def forget_group(self, group: str) -> None:
        self._change("GroupResult", lambda rows: rows.filter(group_id=group).delete())

    # expiry

    def cleanup(self) -> None:
        self._change("TaskResult", lambda rows: rows.filter(self._expired()).delete())
        self._change("GroupResult", lambda rows: rows.filter(self._expired_groups()).delete())
        if self._expires:
            last = _minute(timezone.now() - timedelta(seconds=self._expires))
            self._change("ChordCounter", lambda rows: rows.filter(count__gt=_FIRST_MINUTE, count__lt=last).delete())

    def _expired(self) -> Any:
        """A filter."""
        others = _done_before(self._expires)
        if self._failure_expires is None:
            return others
        failed = models.Q(status=states.FAILURE)
        return (failed & _done_before(self._failure_expires or None)) | (~failed & others)

    def _has_expired(self, row: Any) -> bool:
        own = row.status == states.FAILURE and self._failure_expires is not None
        seconds = self._failure_expires if own else self._expires
        return bool(seconds) and row.date_done < timezone.now() - timedelta(seconds=seconds or 0)

    def _expired_groups(self) -> Any:
        return _done_before(self._expires)

    # chords

    def open_chord(self, group: str, size: int) -> None:
        self._book.open_chord(group, size)

    def claim_chords(self, parts: Sequence[ChordPart], claim_s: float) -> Sequence[ChordClaim]:
        return self._book.claim_chords(parts, claim_s)

    def _change_page(self, group: str, step: Step) -> None:
        chords = model("ChordCounter")
        self._ask(chords, db.router.db_for_write(chords), lambda alias: self._turn_page(alias, chords, group, step))

    def _turn_page(self, alias: str, chords: Any, group: str, step: Step) -> None:
        with db.transaction.atomic(using=alias):
            rows = _for_update(alias, chords._default_manager.using(alias).filter(group_id=group), "count")
            row = next(iter(rows), None)
            page = step(None if row is None else row.sub_tasks.encode())
            if page is None:
                return
            row = row or chords(group_id=group)
            row.sub_tasks, row.count = page.decode(), _minute(timezone.now())
            row.save(using=alias)

    # asking

    def _change(self, name: str, change: Callable[[Any], object]) -> None:
        changed = model(name)
        self._ask(changed, db.router.db_for_write(changed), lambda alias: change(changed._default_manager.using(alias)))

    def _ask(self, of: Any, alias: str, ask: Callable[[str], T]) -> T:
        """Raises BackendError.

        Asked again where another has written the same row just then, and once on a new connection where the old one
        turns out to be broken.
        """
        connection = db.connections[alias]
        for tries in range(1, _TRIES + 1):
            was_open = connection.connection is not None
            try:
                return ask(alias)
            except db.IntegrityError as error:
                if tries == _TRIES:
                    self._give_up(of, alias, error)
            except (db.InterfaceError, db.OperationalError) as error:
                if tries > 1 or not was_open or connection.in_atomic_block:
                    self._give_up(of, alias, error)
                connection.close()
            except db.Error as error:
                self._give_up(of, alias, error)
        raise AssertionError("the last try ends the loop")

    def _give_up(self, of: Any, alias: str, error: Exception) -> NoReturn:
        is_connected = db.connections[alias].connection is not None
        reason = (flaw(of, alias) if is_connected else None) or str(error).strip().partition("\n")[0]
        kind = _RowRefused if isinstance(error, db.DataError) else BackendError
        raise kind(f"django-db://{alias}: {reason}") from error

    # the rest

    def describe(self) -> str:
        if not apps.ready:
            return "django-db://"
        return f"django-db://{db.router.db_for_write(model('TaskResult'))}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe()}>"

    def after_fork(self) -> None:
        forget_inherited()

    def close(self) -> None:
        """The connections are Django's, which closes them."""


def open_store(opening: Opening) -> DjangoDatabaseBackend:
    expect_a_project("django-db")
    return DjangoDatabaseBackend(opening)


def _is_heard_of(tasks: Any) -> bool:
    """Whether somebody wants to be told of each row that is saved."""
    return bool(models.signals.pre_save.has_listeners(tasks) or models.signals.post_save.has_listeners(tasks))


def _save(alias: str, tasks: Any, rows: dict[str, Any], fresh: dict[str, dict[str, Any]]) -> None:
    """One by one, as whoever listens to `post_save` expects."""
    for task_id, columns in fresh.items():
        row = rows.get(task_id) or tasks(task_id=task_id)
        _set(row, columns)
        row.save(using=alias)


def _save_at_once(alias: str, tasks: Any, rows: dict[str, Any], fresh: dict[str, dict[str, Any]]) -> None:
    manager = tasks._default_manager.using(alias)
    new = [tasks(task_id=task_id, **columns) for task_id, columns in fresh.items() if task_id not in rows]
    if new:
        manager.bulk_create(new)
    changed: dict[tuple[str, ...], list[Any]] = {}
    for task_id, columns in fresh.items():
        if task_id in rows:
            dated = {**columns, "date_done": timezone.now()}
            _set(rows[task_id], dated)
            changed.setdefault(tuple(dated), []).append(rows[task_id])
    for names, some in changed.items():
        manager.bulk_update(some, names)


def _set(row: Any, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)


def _done_before(seconds: float | None) -> Any:
    """A filter for rows that are older; None lets everything be kept."""
    if not seconds:
        return models.Q(pk__in=[])
    return models.Q(date_done__lt=timezone.now() - timedelta(seconds=seconds))


def _aware(moment: datetime) -> datetime:
    """In UTC; without USE_TZ the database has Django's local time."""
    known = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    return known.astimezone(UTC)


def _is_too_much(alias: str, records: Sequence[TaskResult]) -> bool:
    """Whether a MySQL hangs up because of the size of these; it takes a statement of so many bytes, quotes included."""
    connection = db.connections[alias]
    if connection.vendor != "mysql":
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            return bool(2 * sum(len(record.meta) for record in records) > cursor.fetchone()[0])
    except db.Error:
        return False


def _for_update(alias: str, rows: Any, any_column: str) -> Any:
    """These rows, locked until the transaction ends."""
    if db.connections[alias].features.has_select_for_update:
        return rows.select_for_update()
    rows.update(**{any_column: models.F(any_column)})
    return rows


def _minute(moment: datetime) -> int:
    """The table of chords has no date: its `count`, which only Celery counts with, is the minute of the last change."""
    return int(_aware(moment).timestamp() // 60)
