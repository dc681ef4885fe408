"""Tasks that end in each way."""

import os
import time

from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_RESULTS"])
app.conf.result_extended = True
app.conf.task_track_started = True
app.conf.broker_connection_retry_on_startup = True


class OutOfStock(Exception):
    pass


@app.task
def add(x, y):
    return x + y


@app.task
def fail(what):
    raise OutOfStock(what, 1)


@app.task(bind=True, max_retries=1)
def later(self):
    if not self.request.retries:
        raise self.retry(countdown=0, exc=ValueError("not yet"))
    return self.request.retries


@app.task(bind=True)
def parent(self):
    self.update_state(state="PROGRESS", meta={"done": 1})
    deadline = time.monotonic() + 120
    while (state := app.backend.get_state(self.request.id)) != "PROGRESS" and time.monotonic() < deadline:
        time.sleep(0.01)
    return [state, app.backend.get_result(self.request.id)]


@app.task
def spawn():
    add.delay(2, 2)
