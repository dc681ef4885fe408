import time

from celery import current_task, shared_task, states
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from proj.base import ShopTask
from proj.celery import app
from proj.journal import note
from proj.money import Money
from proj.shop.errors import GatewayDown, OutOfStock

logger = get_task_logger(__name__)


@app.task
def add(x, y):
    logger.info("adding %s and %s", x, y)
    return x + y


@shared_task
def multiply(x, y):
    note("multiply", current_task.request.id)
    return x * y


@app.task(base=ShopTask, bind=True)
def order(self, article, count, stock=10):
    self.ledger.append(article)
    if count > stock:
        raise OutOfStock(article, count)
    where = self.request.delivery_info
    return {
        "article": article,
        "count": count,
        "id": self.request.id,
        "shop": self.request.headers["shop"],
        "published_as": self.request.published_as,
        "routing_key": where["routing_key"],
        "argsrepr": self.request.argsrepr,
        "worker": self.request.hostname.partition("@")[0],
    }


@app.task(base=ShopTask, bind=True, max_retries=3, default_retry_delay=0)
def charge(self, failures):
    if self.request.retries < failures:
        try:
            raise GatewayDown("no answer")
        except GatewayDown as error:
            raise self.retry(exc=error, countdown=0) from error
    return self.request.retries


@app.task(base=ShopTask, bind=True, autoretry_for=(GatewayDown,), retry_kwargs={"max_retries": 2, "countdown": 0})
def transfer(self, failures):
    if self.request.retries < failures:
        raise GatewayDown("busy")
    return self.request.retries


@shared_task(bind=True, throws=(KeyError,))
def look_up(self, key):
    return {"known": 1}[key]


@app.task(bind=True)
def pack(self, parts, until):
    for done in range(parts):
        self.update_state(state="PROGRESS", meta={"done": done + 1, "of": parts})
    # The client has seen the progress once this file is there.
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            open(until).close()
        except FileNotFoundError:
            time.sleep(0.02)
        else:
            return "packed"
    return "nobody looked"


@app.task(ignore_result=True)
def audit(what):
    note("audit", current_task.request.id, said=what)
    return "nobody sees this"


@app.task(rate_limit="1/h")
def limited(number):
    return number


@app.task(soft_time_limit=1, base=ShopTask)
def patient():
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "gave up"
    return "slept"


@app.task(time_limit=1, base=ShopTask)
def stubborn():
    time.sleep(20)


@app.task(bind=True)
def cancel(self):
    why = {"exc_type": "ShopError", "exc_module": "proj.shop.errors", "exc_message": ["the customer left"]}
    self.update_state(state=states.FAILURE, meta=why)
    raise Ignore()


@app.task(bind=True, acks_late=True)
def refuse(self):
    note("refuse", self.request.id)
    raise Reject("not ours", requeue=False)


@app.task(bind=True)
def place(self, article):
    sent = order.apply_async((article, 1), task_id=f"{self.request.id}-part")
    return sent.id


@app.task
def mail(result, to):
    note("mail", current_task.request.id, result=result, to=to)
    return f"{to}: {result}"


@app.task
def alarm(request, exc, traceback):
    note("alarm", request.id, exc=exc, traceback="Traceback" in traceback)


@app.task(serializer="shop")
def discount(price, percent):
    return Money(price.cents * (100 - percent) // 100, price.currency)


@app.task
def ring(who):
    return f"{who} at {current_task.request.delivery_info['routing_key']}"
