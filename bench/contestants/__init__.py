"""Who takes part."""

from bench.contestants import celery_filesystem, celery_rs_sqlite
from bench.contestants.base import CONCURRENCY, ROOT, Contestant, ContestantError

__all__ = ["CONCURRENCY", "CONTESTANTS", "DEFAULT", "ROOT", "Contestant", "ContestantError"]

CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant
    for contestant in (celery_rs_sqlite.CONTESTANT, celery_filesystem.CONTESTANT, celery_filesystem.TUNED)
}
DEFAULT = ("celery-rs-sqlite", "celery-filesystem")
