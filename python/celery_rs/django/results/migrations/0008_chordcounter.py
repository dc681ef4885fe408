"""What chords still lack."""

from django.db import migrations, models

from celery_rs.django.results.sizes import longest_id


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0007_remove_taskresult_hidden"),)
    operations = (
        migrations.CreateModel(
            name="ChordCounter",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("group_id", models.CharField(max_length=longest_id(), unique=True, verbose_name="group id")),
                ("sub_tasks", models.TextField()),
                ("count", models.PositiveIntegerField()),
            ],
        ),
    )
