"""Result stores of a Django project: its database, through the ORM, and its caches."""

from celery_rs.backends.django.inherited import forget_inherited

__all__ = ["forget_inherited"]
