"""The contestants on Redis, with results in the PostgreSQL that BENCH_POSTGRESQL names: in tables of each run's own."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.contestants import redis_broker, servers
from bench.contestants.base import Contestant
from bench.processes import Server

_URL = os.environ.get("BENCH_POSTGRESQL", "postgresql+psycopg2://root@127.0.0.1:5432/test")
_CAVEAT = "the broker's CPU is that of Redis alone"


class Tables:
    """What a run leaves in the database, dropped with its broker."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def cpu(self) -> float:
        """Nobody tells what a shared server has used for this run."""
        return 0.0

    def stop(self) -> None:
        """Drop them."""
        engine = sa.create_engine(_URL)
        with engine.begin() as connection:
            for name in self._names:
                connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))
        engine.dispose()


def _tables(place: Path) -> tuple[str, str]:
    """Of the tasks and of the groups."""
    name = f"bench_{hashlib.sha256(os.fspath(place).encode()).hexdigest()[:12]}"
    return name, f"{name}_groups"


def _settings(place: Path, results: bool) -> dict[str, Any]:
    tasks, groups = _tables(place)
    return {
        "broker_url": servers.redis_url(place),
        "result_backend": f"db+{_URL}" if results else None,
        "database_table_names": {"task": tasks, "group": groups},
    }


def _broker(place: Path) -> Server:
    return servers.Together(servers.redis(place), Tables(_tables(place)))


def _with_results(contestant: Contestant) -> Contestant:
    return replace(
        contestant,
        name=f"{contestant.name}-postgresql",
        settings=_settings,
        libraries=(*contestant.libraries, "sqlalchemy", "psycopg2-binary"),
        durability=f"{contestant.durability}; results in PostgreSQL with its defaults",
        broker=_broker,
        caveat=_CAVEAT,
    )


CELERY_RS = _with_results(redis_broker.CELERY_RS)
CELERY = _with_results(redis_broker.CELERY)
