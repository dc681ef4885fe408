"""Tasks with a Request class of their own: which of its methods is told what, and what its mistakes do."""

import logging
from typing import Any

import pytest

from celery_rs import Celery, _core
from celery_rs.errors import Ignore, ImproperlyConfigured, Reject, RemoteError, Retry, TimeLimitExceeded
from celery_rs.execution import Outcome
from celery_rs.wire import TaskResult, encode_failure, encode_meta
from celery_rs.worker.deadlines import Overrun
from celery_rs.worker.dispatcher import Entry
from celery_rs.worker.own_requests import OwnRequests
from celery_rs.worker.policy import Policy, policy_of
from celery_rs.worker.pools import Started
from celery_rs.worker.request import Request
from tests.apps import make_app
from tests.messages import delivery


class Telling(Request):
    """Keeps what it is told, on itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[Any] = []

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        self.told.append(("accepted", pid, time_accepted))

    def on_timeout(self, soft: bool, timeout: float) -> None:
        super().on_timeout(soft, timeout)
        self.told.append(("timeout", soft, timeout))

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
        self.told.append(("failure", type(exc_info.exception), str(exc_info.exception), exc_info.traceback))

    def on_retry(self, exc_info: Any) -> None:
        super().on_retry(exc_info)
        self.told.append(("retry", repr(exc_info.exception.exc)))


class Failing(Request):
    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        raise ValueError("mine")


@pytest.fixture
def own() -> OwnRequests:
    return OwnRequests(make_app(), "w1@h")


def entry(kind: type[Request] = Telling) -> Entry:
    one = delivery("proj.add", "id-1")
    assert isinstance(one.envelope, _core.Envelope)
    return Entry(one, one.envelope, Policy(request=kind), 0.0)


def ended(end: Any, text: str = "", *, error: Exception | None = None) -> Outcome:
    """A run that ended so; with a stored record if there is an error."""
    state = "RETRY" if end == "retry" else "FAILURE"
    record = (
        None
        if error is None
        else TaskResult("id-1", state, 0, encode_meta("id-1", state, encode_failure(error), now=0.0))
    )
    return Outcome("tag", end, state, 0.1, text, "the traceback", record)


def test_one_object_is_told_everything_about_a_delivery(own: OwnRequests) -> None:
    one = entry()

    own.started(one, Started("tag", 7, 1.5))
    own.overrun(one, Overrun("tag", "soft", 2.0))
    own.overrun(one, Overrun("tag", "hard", 3.0))
    own.lost(one, TimeLimitExceeded(3.0), again=False)

    assert one.own.id == "id-1"
    assert one.own.told[:3] == [("accepted", 7, 1.5), ("timeout", True, 2.0), ("timeout", False, 3.0)]
    assert one.own.told[3][:3] == ("failure", TimeLimitExceeded, "3.0")


@pytest.mark.parametrize(
    ("outcome", "kind", "text"),
    [
        (ended("failure", "KeyError('k')", error=KeyError("k")), KeyError, "'k'"),
        (ended("failure", "proj.Strange('k')"), RemoteError, "proj.Strange: 'k'"),
        (ended("ignore"), Ignore, ""),
        (ended("reject", "not ours"), Reject, "reject requeue=False: not ours"),
        (ended("requeue", "later"), Reject, "reject requeue=True: later"),
    ],
)
def test_an_end_by_an_exception_is_a_failure(own: OwnRequests, outcome: Outcome, kind: type, text: str) -> None:
    one = entry()

    own.ended(one, outcome)

    assert one.own.told == [("failure", kind, text, "the traceback")]


def test_a_retry_is_a_failure_that_is_told_as_a_retry_first(own: OwnRequests) -> None:
    one, again = entry(), entry()

    own.ended(one, ended("retry", "Retry in 1s: KeyError('k')", error=KeyError("k")))
    own.lost(again, OSError("died"), again=True)

    assert [told[:2] for told in one.own.told] == [("retry", "KeyError('k')"), ("failure", Retry)]
    assert [told[:2] for told in again.own.told] == [("retry", "OSError('died')"), ("failure", Retry)]


def test_a_success_is_told_to_nobody(own: OwnRequests) -> None:
    one = entry()

    own.ended(one, Outcome("tag", "success", "SUCCESS", 0.1, "4"))

    assert one.own is None


def test_what_a_method_raises_is_logged_with_its_name(own: OwnRequests, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "celery.worker.request"):
        own.ended(entry(Failing), ended("failure", "KeyError('k')"))

    assert caplog.messages == ["Failing.on_failure of task proj.add[id-1] failed"]


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.mark.parametrize("given", [Telling, f"{__name__}:Telling", f"{__name__}.Telling"])
def test_a_task_may_name_its_class_or_the_path_of_it(app: Celery, given: Any) -> None:
    @app.task(name="t", Request=given)
    def task() -> None: ...

    kind = policy_of(app.tasks["t"], app.conf).request

    assert kind is not None
    assert kind.__name__ == "Telling"


def test_the_plain_class_is_as_good_as_none(app: Celery) -> None:
    @app.task(name="t", Request="celery_rs.worker.request:Request")
    def task() -> None: ...

    assert policy_of(app.tasks["t"], app.conf).request is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (dict, "task 't': Request must be a subclass of celery_rs.worker.request.Request, got <class 'dict'>"),
        ("nowhere:Request", "task 't': Request: there is no module 'nowhere', got 'nowhere:Request'"),
        (5, "task 't': Request must be a subclass of celery_rs.worker.request.Request, got 5"),
    ],
)
def test_what_is_no_such_class_is_refused_when_the_worker_starts(app: Celery, given: Any, complaint: str) -> None:
    @app.task(name="t", Request=given)
    def task() -> None: ...

    with pytest.raises(ImproperlyConfigured) as refused:
        policy_of(app.tasks["t"], app.conf)

    assert str(refused.value) == complaint
