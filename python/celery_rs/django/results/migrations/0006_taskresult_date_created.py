"""When the row was made; of rows from before, when they last changed."""

from typing import Any

from django.db import migrations, models
from django.utils import timezone


def date_old_rows(apps: Any, schema_editor: Any) -> None:
    """No better date is known of them."""
    rows = apps.get_model("django_celery_results", "TaskResult").objects.using(schema_editor.connection.alias)
    rows.update(date_created=models.F("date_done"))


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0005_taskresult_worker"),)
    operations = (
        migrations.AddField(
            "taskresult",
            "date_created",
            models.DateTimeField(auto_now_add=True, db_index=True, default=timezone.now, verbose_name="created"),
            preserve_default=False,
        ),
        migrations.RunPython(date_old_rows, migrations.RunPython.noop),
    )
