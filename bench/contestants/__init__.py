"""Who takes part."""

from bench.contestants import celery_filesystem, celery_rs_sqlite, redis_broker
from bench.contestants.base import CONCURRENCY, ROOT, Contestant, ContestantError

__all__ = ["CONCURRENCY", "CONTESTANTS", "DEFAULT", "ROOT", "Contestant", "ContestantError"]

CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (
        celery_rs_sqlite.CONTESTANT,
        celery_filesystem.CONTESTANT,
        celery_filesystem.TUNED,
        redis_broker.CELERY_RS,
        redis_broker.CELERY,
    )
}
DEFAULT = ("celery-rs-sqlite", "celery-filesystem", "celery-rs-redis", "celery-redis")
