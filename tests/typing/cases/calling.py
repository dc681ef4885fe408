"""Calls that are right: both checkers must be content, and know what comes back."""

from typing import Any, assert_type

from celery_rs import AsyncResult, Celery, Task, shared_task
from celery_rs.canvas import Signature

app = Celery("proj", broker="sqlite:///proj.sqlite3", task_acks_late=True)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="proj.greet", max_retries=5, rate_limit="10/m")
def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@app.task(bind=True, autoretry_for=(OSError,))
def fetch(self: Task, url: str, *parts: str) -> bytes:
    if self.request.retries:
        raise self.retry(countdown=2.0)
    return "/".join((url, *parts)).encode()


@app.task(bind=False)
def unbound(x: int = 0) -> None:
    assert x


@shared_task
def tidy(folder: str) -> list[str]:
    return [folder]


@shared_task(bind=True, ignore_result=True)
def note(self: Task, text: str, level: int = 20) -> None:
    assert_type(self.name, str)


@shared_task(name="lib.count")
def count(words: list[str]) -> dict[str, int]:
    return dict.fromkeys(words, 1)


# A call, in all its forms

assert_type(add(4, 4), int)
assert_type(add.delay(4, 4), AsyncResult[int])
assert_type(add.delay(x=4, y=4), AsyncResult[int])
assert_type(add.delay(4, 4).get(timeout=1), int)
assert_type(add.apply_async((4, 4), countdown=10), AsyncResult[int])
assert_type(add.apply_async(args=[4], kwargs={"y": 4}, queue="slow").get(), int)
assert_type(greet.delay("you", loud=True).get(), str)
assert_type(greet("you"), str)
assert_type(fetch.delay("https://example.org", "a", "b").get(), bytes)
assert_type(fetch("https://example.org"), bytes)
assert_type(unbound.delay(), AsyncResult[None])
assert_type(tidy.delay("/tmp").get(), list[str])
assert_type(note.delay("text", level=30), AsyncResult[None])
assert_type(count(["a"]), dict[str, int])
assert_type(add.AsyncResult("id").get(), int)
assert_type(app.AsyncResult("id"), AsyncResult[Any])
assert_type(app.send_task("elsewhere.add", (1, 2), countdown=3), AsyncResult[Any])


async def waits() -> int:
    assert_type(await add.delay(4, 4), int)
    return await add.delay(1, 2) + len(await tidy.delay("/tmp"))


# Calls that are written down

assert_type(add.s(2, 2), Signature[int])
assert_type(add.s(2).delay(2), AsyncResult[int])
assert_type(add.si(2, 2).apply_async(countdown=1).get(), int)
assert_type(add.signature((2, 2), countdown=10)(), int)
assert_type(greet.s("you").clone().delay().get(), str)
add.apply_async((2, 2), link=greet.s(), link_error=note.si("it failed"))


# Tasks with a class


class Divide(Task[[int, int], float]):
    name = "proj.divide"

    def run(self, x: int, y: int) -> float:
        return x / y

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note.delay(f"{task_id} failed with {exc!r}")


class Loose(Task):
    """Without type arguments it takes anything."""

    rate_limit = "1/s"

    def run(self, *args: Any) -> Any:
        return args


divide = app.register_task(Divide())
assert_type(divide.delay(4, 2).get(), float)
assert_type(divide(4, 2), float)
assert_type(app.register_task(Divide).delay(1, 2), AsyncResult[float])

loose = app.register_task(Loose())
loose.delay(1, "two", three=3)


@app.task(base=Loose, bind=True)
def based(self: Loose, x: int) -> str:
    assert_type(self.max_retries, int | None)
    return str(x)


assert_type(based.delay(3).get(), str)


# The app and its results


def settle(result: AsyncResult[int]) -> int:
    assert_type(result.id, str)
    assert_type(result.ready(), bool)
    if result.successful():
        return result.get()
    result.forget()
    return 0


with Celery("other", config_source="proj.config") as other:
    other.autodiscover_tasks(["proj"], related_name="jobs")
    other.conf.update(task_default_queue="q")
    other.conf.task_default_queue = "q"
