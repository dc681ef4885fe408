"""Run a task where it is called: the same steps as in a worker, and the result in hand.

A retry runs at once, deeper; a callback is called as the app calls tasks, so it is sent unless `task_always_eager` is
set.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from celery_rs.context import AppLike, current_request
from celery_rs.errors import Retry
from celery_rs.execution.request import Request
from celery_rs.execution.run import Run, carry_out
from celery_rs.execution.terms import TaskTerms, terms_of
from celery_rs.results import EagerResult
from celery_rs.wire import preview


def apply(app: AppLike, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], **said: Any) -> EagerResult[Any]:
    """Run `task` to its end; `said` is what the request shows of the call, and `throw`, which raises its error here."""
    throw = said.pop("throw")
    retries = said["retries"]
    request = _request(task, args, kwargs, said)
    run = Run(app, terms_of(app), TaskTerms(task), request, said["id"])
    run.stores = run.stores and bool(task.store_eager_result)
    outcome = carry_out(run)
    if outcome.record is not None:
        app.backend.store([outcome.record])
    if request.followups:
        app.publish(request.followups)
    ending = run.retval
    if throw and isinstance(ending, BaseException) and outcome.end != "success":
        raise ending
    if isinstance(ending, Retry) and ending.sig is not None:
        again: EagerResult[Any] = ending.sig.apply(retries=retries + 1)
        return again
    return EagerResult(said["id"], ending, str(run.state), outcome.traceback, name=task.name, app=app)


def _request(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], said: Mapping[str, Any]) -> Request:
    parent = current_request()
    limits = [task.time_limit, task.soft_time_limit]
    return Request(
        task=task.name,
        args=args,
        kwargs=kwargs,
        argsrepr=preview(tuple(args)),
        kwargsrepr=preview(dict(kwargs)),
        is_eager=True,
        called_directly=False,
        hostname=os.uname().nodename,
        parent_id=None if parent is None else parent.id,
        root_id=(None if parent is None else parent.root_id) or said["id"],
        timelimit=None if limits == [None, None] else limits,
        **said,
    )
