"""Which task it was, and its arguments."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0001_initial"),)
    operations = (
        migrations.AddField(
            "taskresult", "task_args", models.TextField(null=True, verbose_name="positional arguments")
        ),
        migrations.AddField("taskresult", "task_kwargs", models.TextField(null=True, verbose_name="named arguments")),
        migrations.AddField(
            "taskresult", "task_name", models.CharField(max_length=255, null=True, verbose_name="task")
        ),
    )
