"""Run one message of a task: open the request, read the arguments, carry the run out.

`execute` never raises on account of a message or a task. What it returns is encoded already, so that it can go
through a pipe; nothing is stored or sent here, except what the task itself tells or sends while it runs.
"""

import time
from collections.abc import Mapping
from typing import Any

from celery_rs import states
from celery_rs.context import AppLike
from celery_rs.errors import ContentDisallowed, ContentError, InvalidTaskError, NotRegistered
from celery_rs.execution.outcome import Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request, Tell
from celery_rs.execution.run import Run, carry_out
from celery_rs.execution.terms import Terms, terms_of
from celery_rs.execution.traces import printable
from celery_rs.execution.work import Work
from celery_rs.serializers import decompress, reader
from celery_rs.wire import preview

_REFUSED = (ContentDisallowed, ContentError, InvalidTaskError, NotRegistered)


def execute(app: AppLike, work: Work, *, hostname: str, tell: Tell) -> Outcome:
    """Never raises for what a message holds or a task does. `tell` takes records to be stored during the run."""
    terms = terms_of(app)
    try:
        request = Request.open(work, hostname, tell)
        own = terms.of_task(app.tasks, work.task)
        read_body(terms, request, work)
    except _REFUSED as error:
        return _refused(terms, work, error)
    return carry_out(Run(app, terms, own, request, work.id, work.tag))


def read_body(terms: Terms, request: Request, work: Work) -> None:
    """Put the arguments into the request. Raises what makes the message one that cannot be run."""
    raw = work.body if work.compression is None else decompress(work.body, work.compression)
    body = reader(work.content_type, terms.accepted, work.content_encoding).loads(raw)
    match body:
        case [list() | tuple() as args, dict() as kwargs, dict() | None as embed]:
            request.args = args if type(args) is list else list(args)
            request.kwargs = kwargs
        case _:
            raise InvalidTaskError(f"expected a body [args, kwargs, options], got {preview(body, 80)}")
    if embed and any(embed.values()):
        _read_embed(request, embed)


def _read_embed(request: Request, embed: Mapping[str, Any]) -> None:
    for name in ("chain", "chord"):
        value = embed.get(name)
        if value:
            # Running it and dropping the rest would be silent loss.
            raise InvalidTaskError(
                f"workflows are not supported yet, and this call carries {name}: {preview(value, 80)}"
            )
    for name in ("callbacks", "errbacks"):
        linked = embed.get(name)
        if linked:
            setattr(request, name, _linked(name, linked))


def _linked(name: str, linked: Any) -> list[Any]:
    """Raises InvalidTaskError for what is no signature, and for workflows: the task must not run without them."""
    for item in linked if isinstance(linked, list) else [linked]:
        if not isinstance(item, Mapping) or not isinstance(item.get("task"), str):
            raise InvalidTaskError(f"expected signatures as {name}, got {preview(linked, 80)}")
        if item.get("subtask_type"):
            raise InvalidTaskError(
                f"workflows are not supported yet, and this call carries {name}: {preview(item, 80)}"
            )
    return linked if isinstance(linked, list) else [linked]


def _refused(terms: Terms, work: Work, error: BaseException) -> Outcome:
    """A message that cannot be run: the caller hears why, and the message becomes a dead letter."""
    record = None if work.ignore_result else failure_record(work, error, now=time.time(), codec=terms.codec)
    return Outcome(work.tag, "reject", states.FAILURE, 0.0, printable(str(error)), record=record)
