"""No question to a PostgreSQL is waited for without end, also where its server has stopped in the middle.

MySQL's drivers have a time limit of their own. PostgreSQL's library has none for answers; but psycopg waits in steps,
of which each may be the last. psycopg2 waits inside the library.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from importlib import import_module
from typing import Any

from celery_rs.backends.sql.alchemy import event, sa

ANSWER_S = 120
"""As long as a Redis is waited for."""


class _Unanswered(Exception):
    pass


def limit(engine: sa.Engine) -> None:
    """Have its connections give up in time. Whatever else listens to it has its say first."""
    if engine.dialect.driver == "psycopg":
        kind = _patient(import_module("psycopg"))

        def connect(dialect: Any, record: Any, cargs: Sequence[Any], cparams: Mapping[str, Any]) -> Any:
            return kind.connect(*cargs, **cparams)

        event.listen(engine, "do_connect", connect)


def _patient(psycopg: Any) -> Any:
    class Patient(psycopg.Connection):  # type: ignore[misc]  # loaded at run time
        def wait(self, steps: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().wait(_bounded(steps, time.monotonic() + ANSWER_S), *args, **kwargs)
            except _Unanswered:
                self.close()
                raise psycopg.OperationalError(f"no answer for {ANSWER_S} seconds") from None

    return Patient


def _bounded(steps: Any, until: float) -> Generator[Any, Any, Any]:
    """The same steps, until that moment."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= until:
                raise _Unanswered
            wanted = steps.send(ready)
    except StopIteration as ended:
        return ended.value
