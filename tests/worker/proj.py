"""The tasks of the worker tests, run by real worker processes on a broker that the environment names."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery_rs import Celery, Task, signals
from celery_rs.errors import Ignore, Reject
from celery_rs.result import allow_join_result
from celery_rs.worker.control import WorkerState, control_command
from tests.deadlines import DEADLINE_S

app = Celery("proj", broker=os.environ["PROJ_BROKER"], backend=os.environ["PROJ_BROKER"])
app.conf.update(json.loads(os.environ.get("PROJ_SETTINGS", "{}")))
FOLDER = Path(os.environ["PROJ_FOLDER"])


def note(name: str) -> None:
    """Append a line that the test can count."""
    with (FOLDER / name).open("a") as file:
        file.write(f"{os.getpid()} {time.time()}\n")


def wait_for(name: str, seconds: float = DEADLINE_S) -> None:
    """Block until the test makes that file."""
    deadline = time.monotonic() + seconds
    while not (FOLDER / name).exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody made {name}")
        time.sleep(0.005)  # a file is the one signal that every pool and a killed parent understand


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def asks_another(x: int, y: int) -> int:
    with allow_join_result():
        answer: int = add.delay(x, y).get(timeout=DEADLINE_S)
        return answer


@app.task(name="proj.limited", rate_limit="5/s")
def limited() -> float:
    return time.time()


@app.task
def noted(name: str) -> str:
    note(name)
    return name


@app.task
def hold(name: str) -> str:
    """Says that it runs, then waits to be let go."""
    note(f"{name}.started")
    wait_for(f"{name}.go")
    note(f"{name}.ended")
    return name


@app.task
def mostly_short(name: str = "") -> str:
    """A call with a name is held like `hold`."""
    if name:
        return str(hold(name))
    time.sleep(0.001)  # the work
    return name


@app.task(acks_late=True, reject_on_worker_lost=True)
def hold_late(name: str) -> str:
    note(f"{name}.started")
    wait_for(f"{name}.go")
    note(f"{name}.ended")
    return name


@app.task(bind=True, max_retries=3)
def retried(self: Any, times: int) -> int:
    if self.request.retries < times:
        raise self.retry(countdown=0.05)
    retries: int = self.request.retries
    return retries


@app.task(autoretry_for=(ConnectionError,), retry_backoff=0.01, retry_jitter=False, max_retries=1)
def unlucky() -> None:
    note("unlucky")
    raise ConnectionError("no luck")


@app.task
def fails() -> None:
    raise ValueError("boom", 1)


@app.task(ignore_result=True)
def silent() -> int:
    return 1


@app.task(track_started=True)
def tracked(name: str) -> str:
    wait_for(f"{name}.go")
    return name


@app.task(bind=True)
def progressing(self: Any, name: str) -> str:
    self.update_state(state="PROGRESS", meta={"done": 50})
    wait_for(f"{name}.go")
    return name


@app.task
def ignored() -> None:
    raise Ignore


@app.task(acks_late=True)
def rejected() -> None:
    raise Reject("not today")


@app.task(acks_late=True)
def rejected_once(name: str) -> str:
    note(name)
    if len((FOLDER / name).read_text().splitlines()) == 1:
        raise Reject("again", requeue=True)
    return name


@app.task(soft_time_limit=0.2)
def softly() -> str:
    try:
        time.sleep(30)  # the limit interrupts it
    finally:
        note("cleaned-up")
    return "too late"


@app.task(time_limit=0.2)
def hardly() -> None:
    time.sleep(30)  # the limit kills it


@app.task(time_limit=0.1, acks_late=True, acks_on_timeout=False)
def hardly_late() -> None:
    note("hardly-late")
    time.sleep(30)  # the limit kills it


@app.task
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(acks_late=True, reject_on_worker_lost=True)
def dies_late() -> None:
    note("dies-late")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def stamped(seconds: float) -> tuple[float, float]:
    """When it began and ended."""
    began = time.time()
    time.sleep(seconds)  # the work
    return began, time.time()


@app.task(bind=True)
def exits(self: Any) -> None:
    raise SystemExit(3)


@app.task(bind=True, max_retries=3)
def retried_slowly(self: Any, name: str) -> None:
    note(name)
    raise self.retry(countdown=3600)


@app.task(bind=True, max_retries=3)
def retried_after(self: Any, name: str) -> None:
    note(f"{name}.started")
    wait_for(f"{name}.go")
    raise self.retry(countdown=3600)


def tell(text: str) -> None:
    with (FOLDER / "signals").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


@signals.task_received.connect
def on_received(request: Any, **_: Any) -> None:
    tell(f"received {request.id} {request.name}")


@signals.task_revoked.connect
def on_revoked(request: Any, terminated: bool, signum: int | None, expired: bool, **_: Any) -> None:
    tell(f"revoked {request.id} {request.args} {terminated} {signum and int(signum)} {expired}")


@signals.task_unknown.connect
def on_unknown(name: str, exc: Exception, message: Any, **_: Any) -> None:
    tell(f"unknown {message.headers['task']} {type(exc).__name__}")


@app.task
def slowly_heard() -> None:
    pass


@signals.task_received.connect
def hear_slowly(request: Any, **_: Any) -> None:
    if request.name.endswith("slowly_heard"):
        wait_for("heard.go")


@control_command(args=[("name", str)], signature="<name>")
def greet(state: WorkerState, name: str) -> object:
    """Say hello."""
    return {"ok": f"hello {name} from {state.hostname}"}


@app.task
def needing(megabytes: int) -> int:
    """Who has had so much memory."""
    bytearray(megabytes << 20).count(1)  # touches every page of it
    return os.getpid()


class Telling(Task[..., Any]):
    """Notes that it failed or is retried, wherever it is told."""

    def on_retry(self, exc: BaseException, *_: Any) -> None:
        with (FOLDER / f"{self.request.args[0]}.retried").open("a") as file:
            file.write(f"{type(exc).__name__}\n")

    def on_failure(self, exc: BaseException, *_: Any) -> None:
        with (FOLDER / f"{self.request.args[0]}.failed").open("a") as file:
            file.write(f"{type(exc).__name__}\n")


@app.task(base=Telling, max_retries=1, default_retry_delay=0.1)
def dies_again(name: str) -> None:
    note(name)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=Telling, time_limit=0.2)
def hardly_told(name: str) -> None:
    time.sleep(30)  # the limit kills it


def write_down(text: str) -> None:
    with (FOLDER / "errbacks").open("a") as file:
        file.write(f"{text}\n")


@app.task
def hear_of_id(task_id: str) -> None:
    write_down(f"id {task_id}")


@app.task
def hear_of_error(request: Any, error: BaseException, traceback: str | None) -> None:
    write_down(f"error {request.id} {error!r} {(traceback or '').strip().splitlines()[-1]}")


@app.task(bind=True)
def telling(self: Any, done: int) -> int:
    self.send_event("task-progress", done=done)
    return done
