"""Run one task, anywhere: what goes in, what comes out, and the run itself."""

from celery_rs.execution import retries
from celery_rs.execution.executor import execute
from celery_rs.execution.ids import invented_id
from celery_rs.execution.outcome import End, Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request, Tell
from celery_rs.execution.traces import ExceptionInfo
from celery_rs.execution.user_code import in_user_code
from celery_rs.execution.work import Work

__all__ = [
    "End",
    "ExceptionInfo",
    "Outcome",
    "Request",
    "Tell",
    "Work",
    "execute",
    "failure_record",
    "in_user_code",
    "invented_id",
    "retries",
]
