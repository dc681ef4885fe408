"""Run one task, anywhere: what goes in, what comes out, and the run itself."""

from celery_rs.execution.eager import apply
from celery_rs.execution.executor import execute
from celery_rs.execution.failing import tell_failure, tell_retry
from celery_rs.execution.followups import follow
from celery_rs.execution.ids import invented_id
from celery_rs.execution.outcome import End, Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request, Tell
from celery_rs.execution.retries import BACKOFF_MAX, RETRY_DELAY, exception_classes, is_spent
from celery_rs.execution.said import Said
from celery_rs.execution.traces import ExceptionInfo, printable
from celery_rs.execution.user_code import does_nothing, in_user_code
from celery_rs.execution.work import Work

__all__ = [
    "BACKOFF_MAX",
    "End",
    "ExceptionInfo",
    "Outcome",
    "RETRY_DELAY",
    "Request",
    "Said",
    "Tell",
    "Work",
    "apply",
    "does_nothing",
    "exception_classes",
    "execute",
    "failure_record",
    "follow",
    "in_user_code",
    "invented_id",
    "is_spent",
    "printable",
    "tell_failure",
    "tell_retry",
]
