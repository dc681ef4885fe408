"""Pool name → pool."""

from celery_rs.context import AppLike
from celery_rs.errors import ImproperlyConfigured
from celery_rs.execution import Outcome, Tell, Work, execute, in_user_code
from celery_rs.worker.pools.base import Pool
from celery_rs.worker.pools.child import Duties
from celery_rs.worker.pools.prefork import PreforkPool
from celery_rs.worker.pools.solo import SoloPool

POOLS = ("prefork", "solo")
_ALIASES = {"processes": "prefork"}


def open_pool(
    name: str,
    app: AppLike,
    size: int,
    *,
    hostname: str,
    max_tasks_per_child: int | None = None,
    alive_within: float = 4.0,
) -> Pool:
    """A pool that runs `app`'s tasks; it does nothing before `start`. Raises ImproperlyConfigured."""

    def run(work: Work, tell: Tell) -> Outcome:
        return execute(app, work, hostname=hostname, tell=tell)

    duties = Duties(run, in_user_code)
    match _ALIASES.get(name, name):
        case "prefork":
            return PreforkPool(duties, size, max_tasks_per_child=max_tasks_per_child, alive_within=alive_within)
        case "solo":
            return SoloPool(duties)
    raise ImproperlyConfigured(f"the pool must be one of {', '.join(POOLS)}, got {name!r}")
