"""Late tasks that come again though they have succeeded: who is asked, and what happens when nobody answers."""

from typing import Any

import pytest

from celery_rs.errors import BackendError
from celery_rs.execution import Outcome, Tell, Work
from celery_rs.wire import TaskResult
from celery_rs.worker.deduplicate import without_repeats
from celery_rs.worker.pools import Duties
from tests.apps import make_app, work_of
from tests.recovery.pool_driver import always, success


def ended(state: str | None, *, late: bool = True, redelivered: bool = True) -> str:
    """How a delivery of a task ends whose stored state is that one."""
    app = make_app()
    outgoing = app.compose("proj.add", (), {}, task_id="one")
    if state is not None:
        app.backend.store([TaskResult("one", state, 0, b'{"status": "%s", "result": null}' % state.encode())])
    duties = without_repeats(Duties(lambda work, tell: success(work), always), app)
    return duties.run(work_of(outgoing, late=late, redelivered=redelivered), lambda record: None).end


def test_only_a_redelivered_late_task_that_has_succeeded_is_left_out() -> None:
    assert ended("SUCCESS") == "ignore"
    assert [ended("FAILURE"), ended(None)] == ["success"] * 2
    assert [ended("SUCCESS", late=False), ended("SUCCESS", redelivered=False)] == ["success"] * 2


def test_a_task_runs_when_the_store_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    class Silent:
        def fetch(self, ids: object) -> dict[str, TaskResult]:
            raise BackendError("no answer")

    app: Any = make_app()
    outgoing = app.compose("proj.add", (), {}, task_id="one")
    deaf: Any = type("App", (), {"backend": Silent()})()

    def run(work: Work, tell: Tell) -> Outcome:
        return success(work)

    duties = without_repeats(Duties(run, always), deaf)

    assert duties.run(work_of(outgoing, late=True, redelivered=True), lambda record: None).end == "success"
    assert "is not known (no answer); it runs" in caplog.text
