"""The database of a process: one engine, questions in transactions, and what went wrong in words of the store.

Everything a store is asked may be asked twice. So a connection that has ended is no error but the second time, and
transactions that stood in each other's way are repeated.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple, TypeVar

from celery_rs.backends.sql import schema, troubles
from celery_rs.backends.sql.alchemy import exc, sa
from celery_rs.backends.sql.troubles import RefusedValue, Unreachable
from celery_rs.errors import BackendError

R = TypeVar("R")
Question = Callable[[sa.Connection], R]

PATIENCE_S = 30.0
"""How long a transaction is repeated that others are in the way of."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.5

_inherited: list[sa.Engine] = []
"""Engines of a parent: kept, so that nobody closes their connections here."""


class Place(NamedTuple):
    """Where it is: how to make an engine, how it is called for people, and what they must not see."""

    engine: Callable[[], sa.Engine]
    shown: str
    password: str | None = None
    alone: bool = False
    """Whether all share one connection, as they must in a database in memory."""


class Database:
    """Any thread. Raises BackendError."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._there: set[sa.Table] = set()

    @property
    def engine(self) -> sa.Engine:
        if os.getpid() != self._pid:
            self.after_fork()
        with self._lock:
            if self._engine is None:
                self._engine = self.place.engine()
            return self._engine

    @property
    def counts_whole_seconds(self) -> bool:
        """Whether dates have no fractions, as in the tables that Celery makes there."""
        return self.engine.dialect.name in ("mysql", "mariadb")

    def ask(self, question: Question[R], *tables: sa.Table) -> R:
        """The answer, from one transaction. `tables` are made first, if they are not there."""
        engine = self.engine
        lost = False
        until = time.monotonic() + PATIENCE_S
        for tried in count():
            try:
                with self._in_words_of_the_store():
                    self._prepare(engine, tables)
                    return self._answer(engine, question)
            except _Again as again:
                if (again.lost and lost) or time.monotonic() >= until:
                    raise again.error from None
                lost = lost or again.lost
            pause = min(_FIRST_PAUSE_S * 2 ** min(tried, 10), _LONGEST_PAUSE_S)
            time.sleep(random.uniform(pause / 2, pause))
        raise AssertionError("the last try returns or raises")

    def _answer(self, engine: sa.Engine, question: Question[R]) -> R:
        if not self.place.alone:
            with engine.begin() as connection:
                return question(connection)
        with self._lock, engine.begin() as connection:
            return question(connection)

    def _prepare(self, engine: sa.Engine, tables: tuple[sa.Table, ...]) -> None:
        if all(table in self._there for table in tables):
            return
        with self._lock:
            for table in tables:
                if table not in self._there:
                    schema.prepare(engine, table)
                    self._there.add(table)

    def has(self, table: sa.Table) -> bool:
        """Whether it has been made by anybody."""
        return table in self._there or self.ask(
            lambda connection: sa.inspect(connection).has_table(table.name, schema=table.schema)
        )

    def longest_statement(self) -> int | None:
        """In bytes, where a server hangs up on who sends more; None where none does."""
        if self.engine.dialect.name not in ("mysql", "mariadb"):
            return None
        return self.ask(lambda connection: connection.execute(sa.text("SELECT @@max_allowed_packet")).scalar())

    @contextmanager
    def _in_words_of_the_store(self) -> Iterator[None]:
        try:
            yield
        except schema.WrongShape as error:
            raise BackendError(f"result store {self.place.shown}: {error}") from None
        except exc.TimeoutError:
            raise Unreachable(
                f"result store {self.place.shown}: all connections are in use; raise pool_size or max_overflow in "
                "database_engine_options"
            ) from None
        except exc.DBAPIError as error:
            raise self._trouble(error) from None
        except exc.SQLAlchemyError as error:
            raise BackendError(f"result store {self.place.shown} failed: {self._reason(error)}") from None
        except (ValueError, OverflowError) as error:
            raise RefusedValue(f"result store {self.place.shown} refuses a value: {self._reason(error)}") from None

    def _trouble(self, error: exc.DBAPIError) -> Exception:
        shown, reason = self.place.shown, self._reason(error)
        if troubles.is_lost(error):
            return _Again(Unreachable(f"result store {shown}: the connection is lost: {reason}"), lost=True)
        if troubles.is_conflict(error):
            return _Again(BackendError(f"result store {shown}: others are in the way for too long: {reason}"))
        if troubles.is_refusal(error):
            return RefusedValue(f"result store {shown} refuses a value: {reason}")
        if error.statement is None:
            return Unreachable(f"result store {shown} cannot be reached: {reason}")
        self._there = set()  # somebody may have dropped them
        return BackendError(f"result store {shown} failed: {reason}")

    def _reason(self, error: BaseException) -> str:
        return troubles.reason(error, self.place.password)

    def after_fork(self) -> None:
        """In a child: the connections are the parent's."""
        if self._engine is not None:
            _inherited.append(self._engine)
        self._begin()

    def close(self) -> None:
        """The next question connects anew."""
        with self._lock:
            engine, self._engine = self._engine, None
            self._there = set()
        if engine is not None:
            engine.dispose()


class _Again(Exception):
    """Try again; if that is no use, it is this error."""

    def __init__(self, error: BackendError, *, lost: bool = False) -> None:
        super().__init__()
        self.error: Any = error
        self.lost = lost
