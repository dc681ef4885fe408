"""What programs import from `celery.utils`, under that name; it lives elsewhere."""

from celery_rs.wire import new_id as gen_unique_id
from celery_rs.wire import new_id as uuid
from celery_rs.wire import worker_direct

__all__ = ["gen_unique_id", "uuid", "worker_direct"]
