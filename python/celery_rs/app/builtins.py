"""The tasks that every app has: those of Celery's whose machinery is there."""

from celery_rs.app.shared import Declaration
from celery_rs.context import current_app


def backend_cleanup() -> None:
    """Drop the results that have expired."""
    current_app().backend.cleanup()


BUILTINS = (Declaration(backend_cleanup, {"name": "celery.backend_cleanup"}),)
