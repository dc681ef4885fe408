from celery import shared_task
from django.db import connection

from .models import Order


@shared_task
def add(x, y):
    return x + y


@shared_task
def place(name):
    Order.objects.create(name=name)
    return Order.objects.filter(name=name).count()


@shared_task(track_started=False)
def finds_open():
    """Whether the task before it has left a connection."""
    return connection.connection is not None


@shared_task
def fail():
    raise ValueError("boom", 1)


@shared_task(bind=True, max_retries=2)
def stubborn(self):
    """The pause is for Celery, which may set a record back to RETRY when the next run is quicker than the last word."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.5)
    return self.request.retries
