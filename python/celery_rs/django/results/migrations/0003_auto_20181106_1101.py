"""Newest first."""

from django.db import migrations


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0002_add_task_name_args_kwargs"),)
    operations = (
        migrations.AlterModelOptions(
            "taskresult",
            {"ordering": ("-date_done",), "verbose_name": "task result", "verbose_name_plural": "task results"},
        ),
    )
