"""Admin pages of results: to look at, unless DJANGO_CELERY_RESULTS = {"ALLOW_EDITS": True}."""

from typing import Any

from django.conf import settings
from django.contrib import admin

from celery_rs.django.results.models import GroupResult, TaskResult


class _Results(admin.ModelAdmin):
    date_hierarchy = "date_done"
    readonly_fields: tuple[str, ...] = ("date_created", "date_done", "result")

    def get_readonly_fields(self, request: Any, obj: Any = None) -> list[str]:
        allowed = getattr(settings, "DJANGO_CELERY_RESULTS", {}).get("ALLOW_EDITS", False)
        return list(self.readonly_fields) if allowed else [field.name for field in self.opts.local_fields]


@admin.register(TaskResult)
class TaskResultAdmin(_Results):
    """Tasks by state, name and worker."""

    list_display = ("task_id", "periodic_task_name", "task_name", "date_done", "status", "worker")
    list_filter = ("status", "date_done", "periodic_task_name", "task_name", "worker")
    search_fields = ("task_name", "task_id", "status", "task_args", "task_kwargs")
    readonly_fields = ("date_created", "date_started", "date_done", "result", "meta")
    fieldsets = (
        (None, {"fields": ("task_id", "task_name", "periodic_task_name", "status", "worker")}),
        ("Arguments", {"fields": ("task_args", "task_kwargs")}),
        ("Result", {"fields": ("result", "content_type", "content_encoding", "traceback", "meta")}),
        ("Dates", {"fields": ("date_created", "date_started", "date_done")}),
    )


@admin.register(GroupResult)
class GroupResultAdmin(_Results):
    """Groups that were saved."""

    list_display = ("group_id", "date_done")
    list_filter = ("date_done",)
    search_fields = ("group_id",)
