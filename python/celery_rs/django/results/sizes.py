"""How long ids are in the tables. An old MySQL may want 191."""

from django.conf import settings


def longest_id() -> int:
    """What the project's setting DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH says."""
    return int(getattr(settings, "DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH", 255))
