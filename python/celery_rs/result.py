"""`celery_rs.results` under the name that it has in Celery."""

from celery_rs.app import app_or_default
from celery_rs.results import (
    AsyncResult,
    EagerResult,
    GroupResult,
    ResultSet,
    allow_join_result,
    assert_will_not_block,
    denied_join_result,
    result_from_tuple,
)

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultSet",
    "allow_join_result",
    "app_or_default",
    "assert_will_not_block",
    "denied_join_result",
    "result_from_tuple",
]
