from celery import shared_task
from django.db import connection

from .models import Order


@shared_task
def add(x, y):
    return x + y


@shared_task
def place(name):
    """The first thing it does with the database; so it sees whether a connection was left open."""
    was_open = connection.connection is not None
    Order.objects.create(name=name)
    return {"was open": was_open, "orders": Order.objects.filter(name=name).count()}


@shared_task
def fail():
    raise ValueError("boom", 1)


@shared_task(bind=True, max_retries=2)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries
