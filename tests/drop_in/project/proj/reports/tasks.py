from decimal import Decimal

from celery import Task, shared_task

from proj.celery import app


class Report(Task):
    name = "proj.reports.tasks.Report"

    def __init__(self):
        self.made = 0

    def run(self, *numbers, currency="EUR"):
        self.made += 1
        return {"sum": sum(Decimal(number) for number in numbers), "currency": currency, "queue": self.where()}

    def where(self):
        return self.request.delivery_info["routing_key"]


report = app.register_task(Report())


@shared_task(name="proj.reports.tasks.count")
def count_words(text):
    return len(text.split())
