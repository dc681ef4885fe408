"""Calls the tasks, and prints what it sees as JSON."""

import json

from celery import current_app
from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction

from shop.models import Order
from shop.tasks import add, fail, finds_open, place, stubborn

SECONDS = 120


class Roll(Exception):
    pass


class Command(BaseCommand):
    def handle(self, **options):
        said = {}
        said["sum"] = add.delay(2, 3).get(timeout=SECONDS)
        said["order"] = place.delay("one").get(timeout=SECONDS)
        said["again"] = place.delay("two").get(timeout=SECONDS)
        said["retries"] = stubborn.delay().get(timeout=SECONDS)
        failed = fail.delay()
        try:
            failed.get(timeout=SECONDS)
        except ValueError as error:
            said["error"] = [list(error.args), failed.state, failed.traceback.splitlines()[-1]]
        try:
            with transaction.atomic():
                said["told"] = place.delay_on_commit("rolled back")
                raise Roll
        except Roll:
            pass
        with transaction.atomic():
            said["told, too"] = place.apply_async_on_commit(("committed",), task_id="on-commit")
            said["before the commit"] = current_app.AsyncResult("on-commit").state
        said["after it"] = current_app.AsyncResult("on-commit").get(timeout=SECONDS)
        said["orders"] = sorted(order.name for order in Order.objects.all())
        said["zone"] = [current_app.conf.timezone, str(current_app.timezone)]
        said["task class"] = "DjangoTask" in [kind.__name__ for kind in type(add).__mro__]
        current_app.autodiscover_tasks(force=True)
        said["found"] = sorted(name for name in current_app.tasks if name.startswith("shop."))
        if "django-db" in str(current_app.conf.result_backend):
            rows = apps.get_model("django_celery_results", "TaskResult").objects.order_by("id")
            said["rows"] = [
                [
                    row.task_name,
                    row.status,
                    row.result,
                    row.task_args,
                    row.task_kwargs,
                    row.worker,
                    row.content_type,
                    row.content_encoding,
                    json.loads(row.meta)["children"],
                    row.date_started is not None,
                    row.date_created <= row.date_done,
                ]
                for row in rows
            ]
        said["found open"] = [finds_open.delay().get(timeout=SECONDS) for _ in range(3)]
        print(json.dumps(said))
