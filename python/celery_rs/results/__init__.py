"""Results of calls."""

from celery_rs.results.async_result import AsyncResult, result_from_tuple
from celery_rs.results.eager_result import EagerResult
from celery_rs.results.graph import DependencyGraph
from celery_rs.results.group_result import GroupResult
from celery_rs.results.joining import allow_join_result, assert_will_not_block, denied_join_result
from celery_rs.results.promise import Promise
from celery_rs.results.result_set import ResultSet
from celery_rs.results.succession import Succession

__all__ = [
    "AsyncResult",
    "DependencyGraph",
    "EagerResult",
    "GroupResult",
    "Promise",
    "ResultSet",
    "Succession",
    "allow_join_result",
    "assert_will_not_block",
    "denied_join_result",
    "result_from_tuple",
]
