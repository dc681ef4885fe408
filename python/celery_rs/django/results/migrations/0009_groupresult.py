"""Groups that were saved; indexes by name instead of those of 0004 to 0006."""

from django.db import migrations, models

from celery_rs.django.results.sizes import longest_id


class Migration(migrations.Migration):
    """See above."""

    dependencies = (("django_celery_results", "0008_chordcounter"),)
    operations = (
        migrations.CreateModel(
            name="GroupResult",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("group_id", models.CharField(max_length=longest_id(), unique=True, verbose_name="group id")),
                ("date_created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("date_done", models.DateTimeField(auto_now=True, verbose_name="last change")),
                ("content_type", models.CharField(max_length=128)),
                ("content_encoding", models.CharField(max_length=64)),
                ("result", models.TextField(default=None, editable=False, null=True)),
            ],
            options={
                "verbose_name": "group result",
                "verbose_name_plural": "group results",
                "ordering": ("-date_done",),
            },
        ),
        migrations.AlterField(
            "taskresult", "date_created", models.DateTimeField(auto_now_add=True, verbose_name="created")
        ),
        migrations.AlterField(
            "taskresult", "date_done", models.DateTimeField(auto_now=True, verbose_name="last change")
        ),
        migrations.AlterField(
            "taskresult", "status", models.CharField(default="PENDING", max_length=50, verbose_name="state")
        ),
        migrations.AlterField(
            "taskresult", "task_name", models.CharField(max_length=longest_id(), null=True, verbose_name="task")
        ),
        migrations.AlterField("taskresult", "worker", models.CharField(default=None, max_length=100, null=True)),
        migrations.AddIndex("taskresult", models.Index(fields=["task_name"], name="django_cele_task_na_08aec9_idx")),
        migrations.AddIndex("taskresult", models.Index(fields=["status"], name="django_cele_status_9b6201_idx")),
        migrations.AddIndex("taskresult", models.Index(fields=["worker"], name="django_cele_worker_d54dd8_idx")),
        migrations.AddIndex("taskresult", models.Index(fields=["date_created"], name="django_cele_date_cr_f04a50_idx")),
        migrations.AddIndex("taskresult", models.Index(fields=["date_done"], name="django_cele_date_do_f59aad_idx")),
        migrations.AddIndex(
            "groupresult", models.Index(fields=["date_created"], name="django_cele_date_cr_bd6c1d_idx")
        ),
        migrations.AddIndex("groupresult", models.Index(fields=["date_done"], name="django_cele_date_do_caae0e_idx")),
    )
