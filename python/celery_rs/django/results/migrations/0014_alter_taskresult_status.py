"""Any word may be a state: nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0013_taskresult_django_cele_periodi_1993cf_idx"),)
    operations = (
        migrations.AlterField(
            "taskresult", "status", models.CharField(default="PENDING", max_length=50, verbose_name="state")
        ),
    )
