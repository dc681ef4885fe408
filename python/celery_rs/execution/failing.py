"""The failure of a task whose process could not tell it: it was killed by its hard limit, or died.

Runs in the worker's main process, the one place where user code runs there: on_failure, the receivers of
task_failure, the errbacks, after_return. None of it for a body that cannot be read without running code, such as a
pickle: the main process never does. What they raise is logged, and so is how long they took when that is long:
the worker waits.
"""

import logging
import time
from collections.abc import Callable, Sequence

from celery_rs import context
from celery_rs.context import AppLike
from celery_rs.errors import CeleryError, Retry
from celery_rs.execution.executor import read_body
from celery_rs.execution.request import Request
from celery_rs.execution.run import Run, failed, retried
from celery_rs.execution.said import Said
from celery_rs.execution.terms import terms_of
from celery_rs.execution.work import Work
from celery_rs.serializers import reader
from celery_rs.transports import Outgoing
from celery_rs.wire import TaskResult

log = logging.getLogger("celery_rs.execution")

SLOW_S = 1.0


def tell_failure(app: AppLike, work: Work, error: BaseException, *, hostname: str) -> Sequence[Outgoing]:
    """Tell the task and its app that it failed; what is to be sent then. Never raises."""
    return _tell(app, work, hostname, "on_failure", lambda run: failed(run, error))


def tell_retry(app: AppLike, work: Work, error: Exception, *, countdown: float, hostname: str) -> None:
    """Tell the task and its app that it runs again after so many seconds. Never raises."""
    _tell(app, work, hostname, "on_retry", lambda run: retried(run, Retry(exc=error, when=countdown)))


def _tell(app: AppLike, work: Work, hostname: str, hook: str, step: Callable[[Run], object]) -> Sequence[Outgoing]:
    began = time.monotonic()
    try:
        terms = terms_of(app)
        request = Request.open(work, hostname, _nobody)
        own = terms.of_task(app.tasks, work.task)
        if not reader(work.content_type, terms.accepted).safe:
            log.warning(
                "%s of task %s[%s] is not called: only the processes that run tasks read %s",
                hook, work.task, work.id, work.content_type,
            )  # fmt: skip
            return ()
        read_body(terms, request, work)
        with context.running(request):
            step(Run(app, terms, own, request, work.id))
        return request.followups
    except CeleryError:
        return ()  # the message cannot be read, or its task is not known: nobody can be told
    except Exception:
        log.exception("telling task %s[%s] what became of it failed", work.task, work.id)
        return ()
    finally:
        took = time.monotonic() - began
        if took > SLOW_S:
            log.warning("%s of task %s[%s] held up the worker for %.1f s", hook, work.task, work.id, took)


def _nobody(news: TaskResult | Said) -> None:
    """The run is over: its record is written with its end."""
