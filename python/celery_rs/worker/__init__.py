"""The worker: receives messages, runs tasks in a pool, finishes them."""

from celery_rs.worker.options import PoolName, WorkerOptions
from celery_rs.worker.worker import Worker

__all__ = ["PoolName", "Worker", "WorkerOptions"]
