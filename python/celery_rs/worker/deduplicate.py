"""Leave out late tasks that come again though they have succeeded (`worker_deduplicate_successful_tasks`).

Where broker and result store are one, a success and its acknowledgement are one step, and nothing comes again. With
two, a worker may die in between. The look costs a read, for redelivered messages only, in the process that would run
the task; where the store does not answer, the task runs.
"""

import logging

from celery_rs import states
from celery_rs.context import AppLike
from celery_rs.errors import BackendError, ContentError
from celery_rs.execution import Outcome, Tell, Work
from celery_rs.worker.pools import Duties

logger = logging.getLogger("celery.app.trace")


def without_repeats(duties: Duties, app: AppLike) -> Duties:
    """The same duties, but a redelivered late task that has succeeded is only acknowledged."""

    def run(work: Work, tell: Tell) -> Outcome:
        if work.late and work.redelivered and _has_succeeded(app, work.id):
            logger.info("Task %s[%s] has succeeded already: it is acknowledged and not run again", work.task, work.id)
            return Outcome(work.tag, "ignore", states.SUCCESS, 0.0)
        return duties.run(work, tell)

    return duties._replace(run=run)


def _has_succeeded(app: AppLike, id: str) -> bool:
    try:
        record = app.backend.fetch([id]).get(id)
    except (BackendError, ContentError) as error:
        logger.warning("whether task %s has succeeded already is not known (%s); it runs", id, error)
        return False
    return record is not None and record.state == states.SUCCESS
