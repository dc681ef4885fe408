"""What is called when a task has ended: its callbacks with the value, its errbacks with the error.

In a worker they become follow-ups of the run, which leave when it is settled: where a worker dies before, nothing
has been sent. Their ids are invented from the run's, so the same run repeated sends the same messages.
"""

import logging
from typing import Any

from celery_rs._core import seal_envelopes
from celery_rs.canvas import Signature, maybe_signature
from celery_rs.context import AppLike
from celery_rs.execution.ids import invented_id
from celery_rs.execution.request import Request
from celery_rs.execution.user_code import call
from celery_rs.results import AsyncResult

log = logging.getLogger("celery_rs.execution")

_VARARGS = 0x04


def send_callbacks(app: AppLike, request: Request, value: Any) -> None:
    """Call what was linked to the task, the value first. Raises what makes that impossible."""
    for given in request.callbacks or ():
        callback = _signature(given, app)
        if request.is_eager:
            callback.apply_async((value,), parent_id=request.id, root_id=request.root_id)
        else:
            request.children.append(follow(app, request, callback, (value,)))


def call_errbacks(app: AppLike, request: Request, error: BaseException, traceback: str | None) -> None:
    """Call what was linked to the task's failure; what goes wrong with one is logged.

    A task of this process whose function takes several positional arguments is called here, with the request, the error
    and the traceback's text; every other is sent, with the id of the failed task.
    """
    for given in request.errbacks or ():
        try:
            _call_errback(app, request, given, error, traceback)
        except Exception:
            log.exception("an errback of task %s[%s] failed", request.task, request.id)


def follow(app: AppLike, request: Request, sig: Signature[Any], args: tuple[Any, ...]) -> AsyncResult[Any]:
    """Make a call the run's follow-up. Raises TypeError, EncodeError and what else composing it raises."""
    merged, kwargs, options = sig.merged(args)
    once = invented_id(request.id or "", request.retries, len(request.followups))
    own = {"task_id": options.get("task_id") or once, "parent_id": request.id, "root_id": request.root_id}
    if request.reply_to:
        options = {"reply_to": request.reply_to, **options}  # whoever asked for this run may ask for what follows
    outgoing = app.compose(sig.task, merged, kwargs, **{**options, **own})
    # The worker seals it when the run is settled. An option that cannot travel is this run's error, not its end.
    seal_envelopes([outgoing.message], [outgoing.route])
    request.followups.append(outgoing._replace(once=once))
    app.sent((outgoing,))
    return AsyncResult(outgoing.message.id, app=app, task_name=sig.task)


def _call_errback(app: AppLike, request: Request, given: Any, error: BaseException, traceback: str | None) -> None:
    errback = _signature(given, app)
    task = app.tasks.get(errback.task)
    if task is not None and _takes_the_error(task):
        _, failed = call(errback, (request, error, traceback), {})
        if failed is not None:
            log.error("the errback %s of task %s[%s] failed", task.name, request.task, request.id, exc_info=failed)
    elif request.is_eager:
        errback.apply_async((request.id,), parent_id=request.id, root_id=request.root_id)
    else:
        follow(app, request, errback, (request.id,))


def _takes_the_error(task: Any) -> bool:
    """Whether the function is one of three parameters; a method and a bound task are not asked."""
    code = getattr(task.run, "__code__", None)
    if code is None or hasattr(task.run, "__func__"):
        return False
    return code.co_argcount > 1 or bool(code.co_flags & _VARARGS)


def _signature(given: Any, app: AppLike) -> Signature[Any]:
    """Raises TypeError and NotSupported."""
    made = maybe_signature(given, app)
    if made is None:
        raise TypeError("a signature is a dict with a 'task', got None")
    return made
