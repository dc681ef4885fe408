"""The steps of one run, the same in a worker and inline, in Celery's order.

task_prerun, the loader's hook, STARTED, before_start, the task, its callbacks, its record, on_success and task_success
(or the hooks and signals of its other ends), after_return, task_postrun. Who carries a run out stores the record and
sends the follow-ups; nothing of that happens here.
"""

import logging
import os
import time
from typing import Any

from celery_rs import context, signals, states
from celery_rs.context import AppLike
from celery_rs.errors import EncodeError, Ignore, Reject, Retry
from celery_rs.execution.followups import call_errbacks, send_callbacks
from celery_rs.execution.outcome import End, Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request
from celery_rs.execution.retries import autoretry_options, wants_retry
from celery_rs.execution.terms import TaskTerms, Terms
from celery_rs.execution.traces import ExceptionInfo, printable, text_of
from celery_rs.execution.user_code import Ended, call
from celery_rs.wire import TaskResult, encode_failure, encode_meta, preview

log = logging.getLogger("celery_rs.execution")


class Run:
    """One run, as its steps need it. `state` and `retval` are its end, once that is known."""

    __slots__ = ("app", "began", "id", "own", "request", "retval", "state", "stores", "tag", "task", "terms")

    def __init__(self, app: AppLike, terms: Terms, own: TaskTerms, request: Request, id: str, tag: str = "") -> None:
        self.app = app
        self.terms = terms
        self.own = own
        self.task = own.task
        self.request = request
        self.id = id
        self.tag = tag
        self.began = time.monotonic()
        said = request.ignore_result
        self.stores = not (own.ignore_result if said is None else said) and terms.keeps_results
        self.retval: Any = None
        self.state: str | None = None

    def record(self, state: str, value: object, traceback: str | None = None) -> TaskResult:
        """Raises EncodeError for a value that cannot be stored."""
        if not self.terms.extended:
            return self._record(state, value, traceback, None)
        extended = _extended(self.request)
        try:
            return self._record(state, value, traceback, extended)
        except EncodeError:
            # The task may have put anything into its arguments: say what they were when they were sent.
            sent = {"args": self.request.argsrepr, "kwargs": self.request.kwargsrepr}
            return self._record(state, value, traceback, extended | sent)

    def _record(self, state: str, value: object, traceback: str | None, extended: dict[str, Any] | None) -> TaskResult:
        request, children = self.request, self.request.children
        attempt = request.retries
        meta = encode_meta(
            self.id,
            state,
            value,
            now=time.time(),
            traceback=traceback,
            children=[child.id for child in children] if children and self.own.trail else (),
            group_id=request.group,
            parent_id=request.parent_id,
            extended=extended,
            codec=self.terms.codec,
            attempt=attempt,
        )
        return TaskResult(self.id, state, attempt, meta)

    def failure(self, state: str, error: BaseException, traceback: str | None) -> TaskResult | None:
        """The record of an error; None where nobody wants it."""
        if not self.stores and not (
            state == states.FAILURE and self.task.store_errors_even_if_ignored and not self.request.is_eager
        ):
            return None
        return self.record(state, encode_failure(error, self.terms.codec.serializer), traceback)

    def outcome(self, end: End, state: str, text: str = "", **more: Any) -> Outcome:
        runtime = time.monotonic() - self.began
        return Outcome(self.tag, end, state, runtime, printable(text), followups=self.request.followups, **more)

    def hook(self, name: str, *args: Any) -> None:
        """Call one of the task's hooks. What it raises is logged: the end is decided. Inline, the caller sees it."""
        if name not in self.own.hooks:
            return
        method = getattr(self.task, name)
        if self.request.is_eager:
            method(*args)
            return
        _, error = call(method, args, {})
        if error is not None:
            log.error("%s of task %s[%s] failed", name, self.task.name, self.request.id, exc_info=error)


def carry_out(run: Run) -> Outcome:
    """All steps of a run. Raises only inline, what a hook raised."""
    with context.running(run.request):
        try:
            _begin(run)
            return _conclude(run, _perform(run.own, run.request))
        except Exception as error:
            if run.request.is_eager:
                raise
            return _broken(run, error)
        finally:
            _end(run)


# before


def _begin(run: Run) -> None:
    task, request = run.task, run.request
    if signals.task_prerun.receivers:
        signals.task_prerun.send(task, task_id=run.id, task=task, args=request.args, kwargs=request.kwargs)
    hooks = run.app.run_hooks
    if hooks is not None and hooks.before is not None:
        hooks.before(run.id, task)
    if run.own.track_started and run.stores:
        request.tell(run.record(states.STARTED, {"pid": os.getpid(), "hostname": request.hostname}))


# during


def _perform(own: TaskTerms, request: Request) -> Ended:
    args, kwargs, error = request.args, request.kwargs, None
    task, value = own.task, None
    if "before_start" in own.hooks:
        _, error = call(task.before_start, (request.id, args, kwargs), {})
    if error is None:
        body = own.body
        if body is not task:
            request.enter(own.name)
        value, error = call(body, args, kwargs)
    if error is not None and wants_retry(error, task.autoretry_for, task.dont_autoretry_for):
        return None, _autoretry(task, request, error)
    return value, error


def _autoretry(task: Any, request: Request, error: BaseException) -> BaseException:
    """Retry; or the error itself when that was the last time."""
    frames = error.__traceback__
    options = autoretry_options(task, request.retries)
    if request.override_max_retries is not None:
        options["max_retries"] = request.override_max_retries
    try:
        task.retry(exc=error, **options)
    except BaseException as answer:  # noqa: BLE001  (Retry, the error again, or what composing the message raised)
        if answer is error:
            error.__traceback__ = frames
        return answer
    return error


# after


def _conclude(run: Run, ended: Ended) -> Outcome:
    value, error = ended
    if error is None:
        return _succeeded(run, value)
    if isinstance(error, Retry):
        return retried(run, error)
    if isinstance(error, Ignore):
        run.state, run.retval = states.IGNORED, error
        return run.outcome("ignore", states.IGNORED)
    if isinstance(error, Reject):
        return _rejected(run, error)
    return failed(run, error)


def _succeeded(run: Run, value: Any) -> Outcome:
    task, request = run.task, run.request
    sent, children = len(request.followups), len(request.children)
    try:
        if request.callbacks:
            send_callbacks(run.app, request, value)
        record = run.record(states.SUCCESS, value) if run.stores else None
    except Exception as error:  # noqa: BLE001  (a value that cannot be stored, a callback that cannot be sent)
        if not request.is_eager:
            del request.followups[sent:], request.children[children:]
        return failed(run, error)
    run.state, run.retval = states.SUCCESS, value
    runtime = time.monotonic() - run.began
    text = printable(preview(value, run.own.resultrepr_maxsize))
    if "on_success" in run.own.hooks:
        run.hook("on_success", value, run.id, request.args, request.kwargs)
    if signals.task_success.receivers:
        signals.task_success.send(task, result=value, runtime=runtime)
    if "after_return" in run.own.hooks:
        run.hook("after_return", states.SUCCESS, value, run.id, request.args, request.kwargs, None)
    return Outcome(run.tag, "success", states.SUCCESS, runtime, text, None, record, request.followups)


def failed(run: Run, error: BaseException) -> Outcome:
    """The end of a run that failed, told to all who want to know."""
    task, request = run.task, run.request
    run.state, run.retval = states.FAILURE, error
    info = ExceptionInfo(error)
    outcome = run.outcome(
        "failure",
        states.FAILURE,
        preview(error),
        traceback=info.traceback,
        record=run.failure(states.FAILURE, error, info.traceback),
        expected=bool(task.throws) and isinstance(error, task.throws),
    )
    if request.errbacks:
        call_errbacks(run.app, request, error, info.traceback)
    run.hook("on_failure", error, run.id, request.args, request.kwargs, info)
    _tell_failure(run, error, info)
    run.hook("after_return", states.FAILURE, error, run.id, request.args, request.kwargs, info)
    return outcome


def _tell_failure(run: Run, error: BaseException, info: ExceptionInfo) -> None:
    if signals.task_failure.receivers:
        signals.task_failure.send(
            run.task,
            task_id=run.id,
            exception=error,
            args=run.request.args,
            kwargs=run.request.kwargs,
            traceback=info.tb,
            einfo=info,
        )


def retried(run: Run, retry: Retry) -> Outcome:
    request = run.request
    run.state, run.retval = states.RETRY, retry
    cause = retry if retry.exc is None else retry.exc
    if retry.__context__ is None and cause is not retry:
        retry.__context__ = cause
    info = ExceptionInfo(retry)
    record = run.failure(states.RETRY, cause, info.traceback)
    outcome = run.outcome("retry", states.RETRY, text_of(retry), traceback=info.traceback, record=record)
    run.hook("on_retry", cause, run.id, request.args, request.kwargs, info)
    if signals.task_retry.receivers:
        signals.task_retry.send(run.task, request=request, reason=retry, einfo=info)
    return outcome


def _rejected(run: Run, reject: Reject) -> Outcome:
    run.state, run.retval = states.REJECTED, reject
    info = ExceptionInfo(reject)
    if reject.requeue:
        return run.outcome("requeue", states.REJECTED, text_of(reject), traceback=info.traceback)
    record = run.failure(states.FAILURE, reject, None)
    outcome = run.outcome("reject", states.REJECTED, text_of(reject), traceback=info.traceback, record=record)
    _tell_failure(run, reject, info)
    return outcome


def _broken(run: Run, error: Exception) -> Outcome:
    """The steps themselves failed: the task is over, and its caller hears of it."""
    info = ExceptionInfo(error)
    log.error("task %s[%s] could not be ended as it should", run.task.name, run.id, exc_info=error)
    run.state, run.retval = states.FAILURE, error
    if signals.task_internal_error.receivers:
        signals.task_internal_error.send(
            run.task,
            task_id=run.id,
            args=run.request.args,
            kwargs=run.request.kwargs,
            request=run.request,
            exception=error,
            traceback=info.tb,
            einfo=info,
        )
    known = _Known(run.id, run.request)
    record = None
    if run.stores:
        record = failure_record(known, error, now=time.time(), traceback=info.traceback, codec=run.terms.codec)
    return run.outcome("failure", states.FAILURE, preview(error), traceback=info.traceback, record=record)


def _end(run: Run) -> None:
    task, request = run.task, run.request
    if signals.task_postrun.receivers:
        signals.task_postrun.send(
            task,
            task_id=run.id,
            task=task,
            args=request.args,
            kwargs=request.kwargs,
            retval=run.retval,
            state=run.state,
        )
    hooks = run.app.run_hooks
    if hooks is not None and hooks.after is not None:
        _, error = call(hooks.after, (), {})
        if error is not None:
            log.error("the loader's on_process_cleanup failed", exc_info=error)


class _Known:
    """A run as `failure_record` wants to know it, where the request may hold anything."""

    def __init__(self, id: str, request: Request) -> None:
        self.id = id
        self.retries = request.retries
        self.group = request.group if isinstance(request.group, str) else None
        self.parent_id = request.parent_id if isinstance(request.parent_id, str) else None


def _extended(request: Request) -> dict[str, Any]:
    return {
        "name": request.task,
        "args": request.args,
        "kwargs": request.kwargs,
        "worker": request.hostname,
        "retries": request.retries,
        "queue": request.delivery_info.get("routing_key"),
    }
