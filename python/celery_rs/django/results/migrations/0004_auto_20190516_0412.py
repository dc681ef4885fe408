"""Indexes, which 0009 replaces."""

from django.db import migrations, models

from celery_rs.django.results.sizes import longest_id


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0003_auto_20181106_1101"),)
    operations = (
        migrations.AlterField(
            "taskresult", "date_done", models.DateTimeField(auto_now=True, db_index=True, verbose_name="last change")
        ),
        migrations.AlterField(
            "taskresult",
            "status",
            models.CharField(db_index=True, default="PENDING", max_length=50, verbose_name="state"),
        ),
        migrations.AlterField(
            "taskresult",
            "task_name",
            models.CharField(db_index=True, max_length=longest_id(), null=True, verbose_name="task"),
        ),
    )
