"""Apps for tests: on the memory broker, each with a name of its own, and a worker's run without a worker."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from celery_rs import Celery
from celery_rs._core import Envelope, open_envelopes, seal_envelopes
from celery_rs.execution import Outcome, Work, execute
from celery_rs.transports import Completion, Outgoing

NODE = "w1@host"
_numbers = count()


def make_app(**settings: Any) -> Celery:
    """An app with broker and results of its own in memory; it is not the default app."""
    url = f"memory://unit-{next(_numbers)}"
    chosen = {"broker_url": url, "result_backend": url} | settings
    return Celery("proj", set_as_current=False, **chosen)


def envelope_of(outgoing: Outgoing) -> Envelope:
    """The message as a worker receives it."""
    (opened,) = open_envelopes(seal_envelopes([outgoing.message], [outgoing.route]))
    assert isinstance(opened, Envelope)
    return opened


def work_of(outgoing: Outgoing, **changes: Any) -> Work:
    work = Work.of("tag", envelope_of(outgoing), "celery", redelivered=False, announce=False, late=False)
    return work._replace(**changes)


def run(app: Celery, outgoing: Outgoing, tell: Callable[[Any], None] = lambda news: None, **changes: Any) -> Outcome:
    """Run a composed call as a pool's child does."""
    return execute(app, work_of(outgoing, **changes), hostname=NODE, tell=tell)


def call(app: Celery, task: Any, args: Sequence[Any] = (), kwargs: Any = None, **options: Any) -> Outcome:
    """Compose a call of `task` and run it."""
    return run(app, app.compose(task.name, args, kwargs or {}, **options))


def drain(app: Celery, queue: str = "celery") -> list[Outcome]:
    """Run all that waits in a queue, settle it, and store its results."""
    consumer = app.transport.consume([queue])
    outcomes = []
    for delivery in consumer.receive(10_000, 0).deliveries:
        assert isinstance(delivery.envelope, Envelope)
        work = Work.of(delivery.tag, delivery.envelope, queue, redelivered=False, announce=False, late=False)
        outcome = execute(app, work, hostname=NODE, tell=lambda record: None)
        if outcome.record is not None:
            app.backend.store([outcome.record])
        app.publish(outcome.followups)
        consumer.finish([Completion(delivery.tag)])
        outcomes.append(outcome)
    consumer.close()
    return outcomes
