"""How Django knows the app."""

from django.apps import AppConfig


class ResultsConfig(AppConfig):
    """Of `INSTALLED_APPS = [..., "celery_rs.django.results"]`."""

    name = "celery_rs.django.results"
    label = "django_celery_results"
    verbose_name = "Celery results"
    default_auto_field = "django.db.models.AutoField"
