"""Calls that are wrong. A line that a checker must refuse says so, and with which word.

The comment names all that each of them reports; a line without one must not be reported at all.
"""

from celery_rs import AsyncResult, Celery, Task, shared_task

app = Celery("proj")


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task(bind=True, max_retries=5)
def fetch(self: Task, url: str) -> bytes:
    return url.encode()


@shared_task(name="lib.tidy")
def tidy(folder: str, *, deep: bool = False) -> list[str]:
    return [folder] * deep


class Divide(Task[[int, int], float]):
    def run(self, x: int, y: int) -> float:
        return x / y


divide = app.register_task(Divide())

# Arguments

add.delay("4", 4)  # expect: mypy[arg-type] pyright[reportArgumentType]
add.delay(4)  # expect: mypy[call-arg] pyright[reportCallIssue]
add.delay(4, 4, 4)  # expect: mypy[call-arg] pyright[reportCallIssue]
add.delay(4, z=4)  # expect: mypy[call-arg] pyright[reportCallIssue, reportCallIssue]
add("4", 4)  # expect: mypy[arg-type] pyright[reportArgumentType]
fetch.delay(add, "https://example.org")  # expect: mypy[arg-type, call-arg] pyright[reportCallIssue]
fetch.delay(7)  # expect: mypy[arg-type] pyright[reportArgumentType]
tidy.delay("/tmp", True)  # expect: mypy[call-arg] pyright[reportCallIssue]
tidy.delay("/tmp", deep="yes")  # expect: mypy[arg-type] pyright[reportArgumentType]
divide.delay("4", 2)  # expect: mypy[arg-type] pyright[reportArgumentType]
divide.delay(4)  # expect: mypy[call-arg] pyright[reportCallIssue]

# What comes back

text: str = add.delay(4, 4).get()  # expect: mypy[assignment] pyright[reportAssignmentType]
whole: AsyncResult[str] = add.delay(4, 4)  # expect: mypy[assignment] pyright[reportAssignmentType]
length = len(add(4, 4))  # expect: mypy[arg-type] pyright[reportArgumentType]
words: list[int] = tidy.delay("/tmp").get()  # expect: mypy[assignment] pyright[reportAssignmentType]
half: str = divide.delay(4, 2).get()  # expect: mypy[assignment] pyright[reportAssignmentType]
number: str = add.s(2, 2)()  # expect: mypy[assignment] pyright[reportAssignmentType]


async def waits() -> str:
    return await add.delay(4, 4)  # expect: mypy[return-value] pyright[reportReturnType]


# Options and declarations

add.apply_async(7)  # expect: mypy[arg-type] pyright[reportArgumentType]
add.apply_async((4, 4), kwargs=["y"])  # expect: mypy[arg-type] pyright[reportArgumentType]
add.dely(4, 4)  # expect: mypy[attr-defined] pyright[reportAttributeAccessIssue, reportUnknownMemberType]
app.task("add")  # expect: mypy[call-overload] pyright[reportArgumentType]
app.task(add, add)  # expect: mypy[call-overload] pyright[reportCallIssue]
Celery(main=7)  # expect: mypy[arg-type] pyright[reportArgumentType]
Celery("proj", set_as_current="yes")  # expect: mypy[arg-type] pyright[reportArgumentType]
app.send_task(add)  # expect: mypy[arg-type] pyright[reportArgumentType]
app.register_task(add.run)  # expect: mypy[call-overload] pyright[reportArgumentType, reportCallIssue]
