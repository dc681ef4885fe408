"""Many calls in a few trips to the broker: `app.publish_many` and `task.publish_many`.

All calls are checked and composed before the first is sent, by the code that composes single ones. Then they go in
parts, each of which is one step of the broker: all of a part or none of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from celery_rs.app.later import SENDING, refuse_given
from celery_rs.app.options import patience
from celery_rs.app.publisher import Call
from celery_rs.app.task import Task
from celery_rs.canvas import Signature
from celery_rs.errors import NotAllPublished, OperationalError
from celery_rs.results import AsyncResult
from celery_rs.transports import Outgoing

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

PART = 1000
"""Calls that go together. A server does nothing else meanwhile, and a failure leaves no more than that in doubt."""
_HOW = ("add_to_parent", "retry", "retry_policy", "timeout", "confirm_timeout")
"""What a call's options say of how its message is sent, and not of the message."""
_NOTHING: Mapping[str, Any] = {}

Results = list[AsyncResult[Any]]


class _Trip(NamedTuple):
    """Messages that are sent in the same way."""

    batch: Sequence[Outgoing]
    how: Mapping[str, Any]
    policy: Mapping[str, Any] | None


def publish_many(app: "Celery", given: Iterable[Any], options: Mapping[str, Any]) -> Results:
    """See `Celery.publish_many`."""
    calls = [_call(app, each, options) for each in given]
    if app.publisher.eager or any(map(_calls_itself, {id(call.task): call.task for call in calls}.values())):
        return _one_by_one(app, calls)
    trips = [_trip(app, how, list(some)) for how, some in groupby(map(_completed, calls), key=_how)]
    results = [app.publisher.result(outgoing.message) for trip in trips for outgoing in trip.batch]
    sent = 0
    for batch, how, policy in trips:
        for start in range(0, len(batch), PART):
            part = batch[start : start + PART]
            try:
                app.publisher.publish(part, how.get("retry"), policy, patience(how))
            except OperationalError as error:
                raise _not_all(error, results[:sent], results[sent:]) from error
            if how.get("add_to_parent", True):
                app.publisher.add_to_parent(results[sent : sent + len(part)])
            sent += len(part)
    return results


def _call(app: "Celery", given: Any, options: Mapping[str, Any]) -> Call:
    """A signature, a dict of one, or (task, args, kwargs, options), whose end may be left out; `options` are added.

    Raises TypeError for anything else.
    """
    if isinstance(given, tuple) and 1 <= len(given) <= 4:
        if len(given) == 2 and isinstance(given[0], Task):
            task, args = given
            return Call(task, task.name, tuple(args or ()), _NOTHING, options)
        given = _signed(app, *given)
    elif not isinstance(given, Signature):
        if not isinstance(given, Mapping):
            raise TypeError(f"a call must be a signature or (task, args, kwargs, options), got {given!r}")
        given = Signature.from_dict(given, app=app)
    args, kwargs, merged = given.merged((), options)
    return Call(given.known_task(), given.task, args, kwargs, merged)


def _signed(app: "Celery", task: Any, args: Any = (), kwargs: Any = None, options: Any = None) -> Signature[Any]:
    return Signature(task, args, kwargs, options, app=app)


def _calls_itself(task: Task[..., Any] | None) -> bool:
    """Whether it is called in a way of its own, which may do anything."""
    return task is not None and type(task).apply_async is not Task.apply_async


def _one_by_one(app: "Celery", calls: Sequence[Call]) -> Results:
    results: Results = []
    for task, name, args, kwargs, options in calls:
        try:
            if task is None:
                results.append(app.send_task(name, args, kwargs, **options))
            else:
                results.append(task.apply_async(args, kwargs, **options))
        except OperationalError as error:
            raise _not_all(error, results, ()) from error
    return results


def _completed(call: Call) -> Call:
    """With what the task itself says to such a call. Raises TypeError for arguments that it would refuse."""
    task, _, args, kwargs, options = call
    if task is not None:
        completed = task.complete(args, kwargs, options)
        return call if completed is options else call._replace(options=completed)
    if not SENDING.keys().isdisjoint(options):
        refuse_given("publish_many", options, SENDING)
        return call._replace(options={name: value for name, value in options.items() if name not in SENDING})
    return call


def _how(call: Call) -> Mapping[str, Any]:
    options = call.options
    return {name: options[name] for name in _HOW if name in options} if options else options


def _trip(app: "Celery", how: Mapping[str, Any], calls: Sequence[Call]) -> _Trip:
    policy = app.publisher.policy(how.get("retry_policy"))
    return _Trip(app.publisher.compose_many(calls, policy), how, policy)


def _not_all(error: OperationalError, published: Sequence[Any], rest: Sequence[Any]) -> NotAllPublished:
    return NotAllPublished(f"published {len(published)} calls, and then: {error}", published, rest)
