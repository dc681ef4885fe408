"""Run one task, anywhere: open the request, read the arguments, call the task, say what became of it.

`execute` never raises on account of a message or a task. What it returns is encoded already, so that it can go
through a pipe; nothing is stored or sent here, except what the task itself tells or sends while it runs.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery_rs import context, states
from celery_rs.context import AppLike
from celery_rs.errors import (
    ContentDisallowed,
    ContentError,
    EncodeError,
    Ignore,
    InvalidTaskError,
    NotRegistered,
    Reject,
    Retry,
)
from celery_rs.execution.outcome import End, Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request, Tell
from celery_rs.execution.retries import autoretry_options, wants_retry
from celery_rs.execution.traces import ExceptionInfo, printable, text_of
from celery_rs.execution.user_code import Ended, call
from celery_rs.execution.work import Work
from celery_rs.serializers import content_types, reader, serializer
from celery_rs.wire import TaskResult, encode_failure, encode_meta, preview

log = logging.getLogger("celery_rs.execution")

_REFUSED = (ContentDisallowed, ContentError, InvalidTaskError, NotRegistered)


def execute(app: AppLike, work: Work, *, hostname: str, tell: Tell) -> Outcome:
    """Never raises for what a message holds or a task does. `tell` takes records to be stored during the run."""
    began = time.monotonic()
    request = None
    try:
        request = Request.open(work, hostname, tell)
        task = _find(app, work.task)
        _read_body(app, request, work)
    except _REFUSED as error:
        return _refused(work, request, error, time.monotonic() - began)
    run = _Run(app, task, request, work.id, work.tag, began)
    with context.running(request):
        _announce(run)
        return _conclude(run, _perform(task, request))


class _Run(NamedTuple):
    """One run, as its end needs it."""

    app: AppLike
    task: Any
    request: Request
    id: str
    tag: str
    began: float

    def record(self, state: str, value: object, traceback: str | None = None) -> TaskResult:
        """Raises EncodeError for a value that cannot be stored."""
        request = self.request
        if not self.app.conf.result_extended:
            return self._record(state, value, traceback, None)
        extended = _extended(request)
        try:
            return self._record(state, value, traceback, extended)
        except EncodeError:
            # The task may have put anything into its arguments: say what they were when they were sent.
            sent = {"args": request.argsrepr, "kwargs": request.kwargsrepr}
            return self._record(state, value, traceback, extended | sent)

    def _record(self, state: str, value: object, traceback: str | None, extended: dict[str, Any] | None) -> TaskResult:
        request = self.request
        meta = encode_meta(
            self.id,
            state,
            value,
            now=time.time(),
            traceback=traceback,
            children=request.children if self.task.trail else (),
            group_id=request.group,
            parent_id=request.parent_id,
            extended=extended,
            serializer=serializer(self.app.conf.result_serializer),
        )
        return TaskResult(self.id, state, request.retries, meta)

    def failure(self, state: str, error: BaseException, traceback: str | None) -> TaskResult | None:
        """The record of an error; None where nobody wants it."""
        if self.ignores_result() and not (state == states.FAILURE and self.task.store_errors_even_if_ignored):
            return None
        return self.record(state, encode_failure(error), traceback)

    def ignores_result(self) -> bool:
        said = self.request.ignore_result
        return bool(self.task.ignore_result if said is None else said)

    def outcome(self, end: End, state: str, text: str = "", **more: Any) -> Outcome:
        runtime = time.monotonic() - self.began
        return Outcome(self.tag, end, state, runtime, printable(text), followups=self.request.followups, **more)

    def hook(self, name: str, *args: Any) -> None:
        """Call one of the task's hooks. What it raises is logged: the end is decided."""
        ended = call(getattr(self.task, name), args, {})
        if ended.error is not None:
            log.error("%s of task %s[%s] failed", name, self.task.name, self.request.id, exc_info=ended.error)


# before


def _find(app: AppLike, name: str) -> Any:
    task = app.tasks.get(name)
    if task is None:
        raise NotRegistered(name)
    return task


def _read_body(app: AppLike, request: Request, work: Work) -> None:
    """Put the arguments into the request. Raises what makes the message one that cannot be run."""
    accepted = content_types(app.conf.accept_content)
    if getattr(request, "compression", None):
        raise InvalidTaskError(f"compressed bodies are not supported yet, got {request.compression!r}; send it plain")
    body = reader(work.content_type, accepted).loads(work.body)
    match body:
        case [list() as args, dict() as kwargs, dict() | None as embed]:
            request.args, request.kwargs = args, kwargs
        case _:
            raise InvalidTaskError(f"expected a body [args, kwargs, options], got {preview(body, 80)}")
    if embed:
        _read_embed(request, embed)


def _read_embed(request: Request, embed: Mapping[str, Any]) -> None:
    for name in ("callbacks", "errbacks", "chain", "chord"):
        value = embed.get(name)
        if value:
            # Running it and dropping the rest would be silent loss.
            raise InvalidTaskError(
                f"workflows are not supported yet, and this call carries {name}: {preview(value, 80)}"
            )


def _announce(run: _Run) -> None:
    if run.task.track_started and not run.ignores_result():
        run.request.tell(run.record(states.STARTED, {"pid": os.getpid(), "hostname": run.request.hostname}))


# during


def _perform(task: Any, request: Request) -> Ended:
    ended = call(task.before_start, (request.id, request.args, request.kwargs), {})
    if ended.error is None:
        body = task.body
        if body is not task:
            request.enter(task.name)
        ended = call(body, request.args, request.kwargs)
    if ended.error is not None and wants_retry(ended.error, task.autoretry_for, task.dont_autoretry_for):
        return Ended(None, _autoretry(task, request, ended.error))
    return ended


def _autoretry(task: Any, request: Request, error: BaseException) -> BaseException:
    """Retry; or the error itself when that was the last time."""
    frames = error.__traceback__
    try:
        task.retry(exc=error, **autoretry_options(task, request.retries))
    except BaseException as answer:  # noqa: BLE001  (Retry, the error again, or what composing the message raised)
        if answer is error:
            error.__traceback__ = frames
        return answer
    return error


# after


def _conclude(run: _Run, ended: Ended) -> Outcome:
    error = ended.error
    if error is None:
        return _succeeded(run, ended.value)
    if isinstance(error, Retry):
        return _retried(run, error)
    if isinstance(error, Ignore):
        return run.outcome("ignore", states.IGNORED)
    if isinstance(error, Reject):
        return _rejected(run, error)
    return _failed(run, error)


def _succeeded(run: _Run, value: Any) -> Outcome:
    try:
        record = None if run.ignores_result() else run.record(states.SUCCESS, value)
    except EncodeError as error:
        return _failed(run, error)
    task, request = run.task, run.request
    outcome = run.outcome("success", states.SUCCESS, preview(value, task.resultrepr_maxsize), record=record)
    run.hook("on_success", value, run.id, request.args, request.kwargs)
    run.hook("after_return", states.SUCCESS, value, run.id, request.args, request.kwargs, None)
    return outcome


def _failed(run: _Run, error: BaseException) -> Outcome:
    task, request = run.task, run.request
    info = ExceptionInfo(error)
    outcome = run.outcome(
        "failure",
        states.FAILURE,
        preview(error),
        traceback=info.traceback,
        record=run.failure(states.FAILURE, error, info.traceback),
        expected=bool(task.throws) and isinstance(error, task.throws),
    )
    run.hook("on_failure", error, run.id, request.args, request.kwargs, info)
    run.hook("after_return", states.FAILURE, error, run.id, request.args, request.kwargs, info)
    return outcome


def _retried(run: _Run, retry: Retry) -> Outcome:
    request = run.request
    cause = retry if retry.exc is None else retry.exc
    if retry.__context__ is None and cause is not retry:
        retry.__context__ = cause
    info = ExceptionInfo(retry)
    record = run.failure(states.RETRY, cause, info.traceback)
    outcome = run.outcome("retry", states.RETRY, text_of(retry), traceback=info.traceback, record=record)
    run.hook("on_retry", cause, run.id, request.args, request.kwargs, info)
    return outcome


def _rejected(run: _Run, reject: Reject) -> Outcome:
    if reject.requeue:
        return run.outcome("requeue", states.REJECTED, text_of(reject))
    return run.outcome("reject", states.REJECTED, text_of(reject), record=run.failure(states.FAILURE, reject, None))


def _refused(work: Work, request: Request | None, error: BaseException, runtime: float) -> Outcome:
    """A message that cannot be run: the caller hears why, and the message becomes a dead letter."""
    known = _Unrun(work.id) if request is None else _Unrun(work.id, request.retries, request.group, request.parent_id)
    unwanted = request is not None and request.ignore_result is True
    record = None if unwanted else failure_record(known, error, now=time.time())
    return Outcome(work.tag, "reject", states.FAILURE, runtime, printable(str(error)), record=record)


class _Unrun(NamedTuple):
    """What is known of a task that was refused."""

    id: str
    retries: int = 0
    group: str | None = None
    parent_id: str | None = None


def _extended(request: Request) -> dict[str, Any]:
    return {
        "name": request.task,
        "args": request.args,
        "kwargs": request.kwargs,
        "worker": request.hostname,
        "retries": request.retries,
        "queue": request.delivery_info["routing_key"],
    }
