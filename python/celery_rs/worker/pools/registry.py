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


def running_tasks(app: AppLike, hostname: str) -> Duties:
    """The duties of who runs `app`'s tasks for the node `hostname`."""

    def run(work: Work, tell: Tell) -> Outcome:
        return execute(app, work, hostname=hostname, tell=tell)

    return Duties(run, in_user_code)


def open_pool(
    name: str,
    duties: Duties,
    size: int,
    *,
    most: int | None = None,
    max_tasks_per_child: int | None = None,
    alive_within: float = 4.0,
    limits: tuple[float, float] = (0, 0),
) -> Pool:
    """A pool with these duties; it does nothing before `start`. Raises ImproperlyConfigured for a name that is none."""
    match _ALIASES.get(name, name):
        case "prefork":
            return PreforkPool(
                duties,
                size,
                most=most,
                max_tasks_per_child=max_tasks_per_child,
                alive_within=alive_within,
                limits=limits,
            )
        case "solo":
            return SoloPool(duties)
    raise ImproperlyConfigured(f"the pool must be one of {', '.join(POOLS)}, got {name!r}")
