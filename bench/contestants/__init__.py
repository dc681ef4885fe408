"""Who takes part."""

from bench.contestants import celery_filesystem, celery_rs_sqlite, rabbitmq_broker, redis_broker, sql_results
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
        rabbitmq_broker.CELERY_RS,
        rabbitmq_broker.CELERY,
        rabbitmq_broker.CONFIRMED,
        rabbitmq_broker.DRAMATIQ,
        sql_results.CELERY_RS,
        sql_results.CELERY,
    )
}
DEFAULT = (
    "celery-rs-sqlite",
    "celery-filesystem",
    "celery-rs-redis",
    "celery-redis",
    "celery-rs-rabbitmq",
    "celery-rabbitmq",
    "dramatiq-rabbitmq",
)
