"""Nothing is hidden any more."""

from django.db import migrations


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0006_taskresult_date_created"),)
    operations = (migrations.RemoveField("taskresult", "hidden"),)
