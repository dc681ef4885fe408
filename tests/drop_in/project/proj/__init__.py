"""A shop's back office, written for Celery and for nothing else: both programs run it as it is."""

from proj.celery import app as celery_app

__all__ = ("celery_app",)
