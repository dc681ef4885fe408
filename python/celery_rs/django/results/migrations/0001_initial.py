"""Results of tasks."""

from django.db import migrations, models

from celery_rs.django.results.sizes import longest_id


class Migration(migrations.Migration):
    """See above."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="TaskResult",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("task_id", models.CharField(max_length=longest_id(), unique=True, verbose_name="task id")),
                ("status", models.CharField(default="PENDING", max_length=50, verbose_name="state")),
                ("content_type", models.CharField(max_length=128)),
                ("content_encoding", models.CharField(max_length=64)),
                ("result", models.TextField(default=None, editable=False, null=True)),
                ("date_done", models.DateTimeField(auto_now=True, verbose_name="last change")),
                ("traceback", models.TextField(blank=True, null=True)),
                ("hidden", models.BooleanField(db_index=True, default=False, editable=False)),
                ("meta", models.TextField(default=None, editable=False, null=True)),
            ],
            options={"verbose_name": "task result", "verbose_name_plural": "task results"},
        ),
    )
