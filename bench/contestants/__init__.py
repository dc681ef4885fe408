"""Who takes part."""

from collections.abc import Iterable

from bench.contestants import (
    celery_filesystem,
    celery_rs_sqlite,
    embedded_peers,
    rabbitmq_broker,
    redis_broker,
    redis_peers,
    sql_results,
)
from bench.contestants.base import CONCURRENCY, ROOT, Contestant, ContestantError, Missing

__all__ = [
    "CONCURRENCY",
    "CONTESTANTS",
    "DEFAULT",
    "ROOT",
    "SETS",
    "Contestant",
    "ContestantError",
    "Missing",
    "chosen",
]

_REDIS = (
    redis_broker.CELERY_RS,
    redis_broker.CELERY,
    redis_peers.CAULI,
    redis_peers.TASKIQ,
    redis_peers.ARQ,
    redis_peers.SAQ,
    redis_peers.DRAMATIQ,
    redis_peers.HUEY,
    redis_peers.RQ,
)
_SIGNALS = (redis_broker.CELERY_RS_SIGNALS, redis_broker.CELERY_SIGNALS)
_RABBITMQ = (rabbitmq_broker.CELERY_RS, rabbitmq_broker.CELERY, rabbitmq_broker.DRAMATIQ)
_EMBEDDED = (
    celery_rs_sqlite.CONTESTANT,
    celery_filesystem.CONTESTANT,
    embedded_peers.TASKITO,
    embedded_peers.FLEXIQ,
    embedded_peers.HUEY,
)
_VARIANTS = (
    celery_filesystem.TUNED,
    embedded_peers.HUEY_UNSYNCED,
    rabbitmq_broker.CONFIRMED,
    sql_results.CELERY_RS,
    sql_results.CELERY,
)
CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant for contestant in (*_REDIS, *_SIGNALS, *_RABBITMQ, *_EMBEDDED, *_VARIANTS)
}
SETS: dict[str, tuple[str, ...]] = {
    "redis": tuple(each.name for each in _REDIS),
    "signals": tuple(each.name for each in (*_REDIS[:2], *_SIGNALS)),
    "rabbitmq": tuple(each.name for each in _RABBITMQ),
    "embedded": tuple(each.name for each in _EMBEDDED),
    "all": tuple(each.name for each in (*_REDIS, *_RABBITMQ, *_EMBEDDED)),
}
"""Names for several at once; the first of each is what the others are compared with."""
DEFAULT = (
    "celery-rs-redis",
    "celery-redis",
    "cauli",
    "celery-rs-rabbitmq",
    "celery-rabbitmq",
    "celery-rs-sqlite",
)


def chosen(names: Iterable[str]) -> list[Contestant]:
    """Those of that name or in the set of that name, each once. Raises KeyError."""
    found = (each for name in names for each in SETS.get(name, (name,)))
    return [CONTESTANTS[name] for name in dict.fromkeys(found)]
