"""Results as rows. The store writes them, the admin pages and the project's own queries read them."""

from typing import Any

from django.db import models

from celery_rs import states
from celery_rs.django.results.sizes import longest_id


class TaskResult(models.Model):
    """The last record of a task. `result` and `meta` are encoded as `content_type` and `content_encoding` say."""

    task_id = models.CharField(max_length=longest_id(), unique=True, verbose_name="task id")
    periodic_task_name = models.CharField(max_length=255, null=True, verbose_name="name of the periodic task")
    task_name = models.CharField(max_length=longest_id(), null=True, verbose_name="task")
    task_args = models.TextField(null=True, verbose_name="positional arguments")
    task_kwargs = models.TextField(null=True, verbose_name="named arguments")
    status = models.CharField(max_length=50, default=states.PENDING, verbose_name="state")
    worker = models.CharField(max_length=100, null=True, default=None)
    content_type = models.CharField(max_length=128)
    content_encoding = models.CharField(max_length=64)
    result = models.TextField(null=True, default=None, editable=False)
    date_created = models.DateTimeField(auto_now_add=True, verbose_name="created")
    date_started = models.DateTimeField(null=True, default=None, verbose_name="started")
    date_done = models.DateTimeField(auto_now=True, verbose_name="last change")
    traceback = models.TextField(blank=True, null=True)
    meta = models.TextField(null=True, default=None, editable=False)

    class Meta:
        """Newest first."""

        ordering = ("-date_done",)
        verbose_name = "task result"
        verbose_name_plural = "task results"
        indexes = (
            models.Index(fields=["task_name"], name="django_cele_task_na_08aec9_idx"),
            models.Index(fields=["status"], name="django_cele_status_9b6201_idx"),
            models.Index(fields=["worker"], name="django_cele_worker_d54dd8_idx"),
            models.Index(fields=["date_created"], name="django_cele_date_cr_f04a50_idx"),
            models.Index(fields=["date_done"], name="django_cele_date_do_f59aad_idx"),
            models.Index(fields=["periodic_task_name"], name="django_cele_periodi_1993cf_idx"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The columns that a record is made of."""
        names = "task_id task_name task_args task_kwargs status result date_done traceback meta worker"
        return {name: getattr(self, name) for name in names.split()}

    def __str__(self) -> str:
        return f"<Task: {self.task_id} ({self.status})>"


class ChordCounter(models.Model):
    """A chord that is under way: of Celery's, how many parts it lacks; of ours, a page (`backends/chord_book.py`)."""

    group_id = models.CharField(max_length=longest_id(), unique=True, verbose_name="group id")
    sub_tasks = models.TextField()
    count = models.PositiveIntegerField()


class GroupResult(models.Model):
    """The members of a group that was saved."""

    group_id = models.CharField(max_length=longest_id(), unique=True, verbose_name="group id")
    date_created = models.DateTimeField(auto_now_add=True, verbose_name="created")
    date_done = models.DateTimeField(auto_now=True, verbose_name="last change")
    content_type = models.CharField(max_length=128)
    content_encoding = models.CharField(max_length=64)
    result = models.TextField(null=True, default=None, editable=False)

    class Meta:
        """Newest first."""

        ordering = ("-date_done",)
        verbose_name = "group result"
        verbose_name_plural = "group results"
        indexes = (
            models.Index(fields=["date_created"], name="django_cele_date_cr_bd6c1d_idx"),
            models.Index(fields=["date_done"], name="django_cele_date_do_caae0e_idx"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The columns that a record is made of."""
        return {name: getattr(self, name) for name in ("group_id", "result", "date_done")}

    def __str__(self) -> str:
        return f"<Group: {self.group_id}>"
