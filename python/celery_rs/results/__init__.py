"""Results of calls."""

from celery_rs.results.async_result import AsyncResult, allow_join_result

__all__ = ["AsyncResult", "allow_join_result"]
