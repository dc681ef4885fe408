"""Nothing to do: only django-celery-results 2.1.0 ever made the indexes that its step of this name drops.

A database that was left there keeps them, and is none the worse for it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0009_groupresult"),)
    operations = ()
