"""What programs import from `celery.utils.log`, under that name; it lives in `celery_rs.app`."""

from celery_rs.app import ColorFormatter, get_task_logger
from celery_rs.app import level_of as mlevel

__all__ = ["ColorFormatter", "get_task_logger", "mlevel"]
