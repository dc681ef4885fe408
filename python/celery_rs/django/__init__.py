"""Celery in a Django project: what an app does there by itself, and tasks that are sent when a transaction commits.

The app `celery_rs.django.results` has the tables of the result store `django-db`.
"""

from celery_rs.django.fixup import DjangoFixup
from celery_rs.django.task import DjangoTask

__all__ = ["DjangoFixup", "DjangoTask"]
