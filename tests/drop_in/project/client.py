"""The other half of the shop: calls tasks, each under an id of its own, and writes down what became of them."""

import json
import os
import sys
import time

from celery.exceptions import TimeoutError
from celery.result import AsyncResult
from proj import handlers  # noqa: F401  (it listens to what is sent)
from proj.celery import app
from proj.journal import note
from proj.money import Money
from proj.reports.tasks import count_words, report
from proj.shop import tasks


def call(task, *args, task_id, **options):
    return task.apply_async(args, task_id=task_id, **options)


def seen(result):
    try:
        value = result.get(timeout=120)
    except TimeoutError:
        return {"state": "never"}
    except Exception as error:
        return {
            "state": result.state,
            "error": type(error).__name__,
            "args": error.args,
            "traceback": "Traceback" in (result.traceback or ""),
        }
    return {"state": result.state, "value": value, "name": result.name, "retries": result.retries}


def progress(result, until):
    """The state that the task has set itself, seen before it goes on."""
    while True:
        state, info = result.state, result.info
        if state == "PROGRESS" and info == {"done": 3, "of": 3}:
            open(until, "w").close()
            return {"state": state, "info": info}
        if state == "SUCCESS":
            return {"state": state, "info": None}
        time.sleep(0.01)


def main(directory):
    until = os.path.join(directory, "seen")
    packing = call(tasks.pack, 3, until, task_id="pack")
    calls = [
        call(tasks.add, 2, 3, task_id="add"),
        call(tasks.multiply, 4, 5, task_id="multiply"),
        call(tasks.order, "tea", 2, task_id="order", headers={"shop": "bonn"}),
        call(tasks.order, "ink", 99, task_id="out-of-stock"),
        call(tasks.charge, 2, task_id="charge"),
        call(tasks.charge, 9, task_id="charge-in-vain"),
        call(tasks.transfer, 1, task_id="transfer"),
        call(tasks.transfer, 9, task_id="transfer-in-vain"),
        call(tasks.look_up, "unknown", task_id="look-up"),
        call(tasks.limited, 7, task_id="limited-1"),
        call(tasks.limited, 8, task_id="limited-2"),
        call(tasks.patient, task_id="patient"),
        call(tasks.stubborn, task_id="stubborn"),
        call(tasks.place, "pen", task_id="place"),
        call(tasks.discount, Money(1999, "EUR"), 10, task_id="discount"),
        call(tasks.ring, "Ann", task_id="ring"),
        call(tasks.add, 1, 1, task_id="later", countdown=1),
        call(report, "1.10", "2.20", task_id="report"),
        call(count_words, "three little words", task_id="count"),
        call(tasks.order, "hat", 1, task_id="linked", link=tasks.mail.s("Ann").set(task_id="mail")),
        call(tasks.order, "cap", 99, task_id="link-error", link_error=tasks.alarm.s().set(task_id="alarm")),
        app.send_task("proj.shop.tasks.add", (10, 20), task_id="by-name"),
        tasks.add.s(5).apply_async((6,), task_id="partial"),
        call(tasks.refuse, task_id="refuse"),
        call(tasks.add, 0, 0, task_id="expired", expires=-1),
        call(tasks.cancel, task_id="cancel"),
        AsyncResult("mail", app=app),
        AsyncResult("place-part", app=app),
    ]
    audited = call(tasks.audit, "paid", task_id="audit")
    results = {"progress": progress(packing, until), "pack": seen(packing)}
    results |= {result.id: seen(result) for result in calls}
    results["place-children"] = [child.id for child in AsyncResult("place", app=app).children or ()]
    results["audit"] = audited.state
    note("client done")
    print(json.dumps(results, sort_keys=True, default=str))


main(sys.argv[1])
