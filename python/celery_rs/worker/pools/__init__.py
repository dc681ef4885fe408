"""Where tasks run: the pool interface, and the pools."""

from celery_rs.worker.pools.base import (
    Announced,
    Finished,
    Job,
    Lost,
    Pool,
    PoolBroken,
    PoolEvent,
    Progress,
    Returned,
    Running,
    Started,
    Watch,
)
from celery_rs.worker.pools.child import Duties
from celery_rs.worker.pools.clerk import Clerk
from celery_rs.worker.pools.prefork import PreforkPool
from celery_rs.worker.pools.registry import POOLS, open_pool, running_tasks
from celery_rs.worker.pools.solo import SoloPool

__all__ = [
    "POOLS",
    "Announced",
    "Clerk",
    "Duties",
    "Finished",
    "Job",
    "Lost",
    "Pool",
    "PoolBroken",
    "PoolEvent",
    "PreforkPool",
    "Progress",
    "Returned",
    "Running",
    "SoloPool",
    "Started",
    "Watch",
    "open_pool",
    "running_tasks",
]
