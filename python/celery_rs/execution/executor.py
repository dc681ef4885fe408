"""Run one message of a task: open the request, read the arguments, carry the run out.

`execute` never raises on account of a message or a task. What it returns is encoded already, so that it can go
through a pipe; nothing is stored or sent here, except what the task itself tells or sends while it runs.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery_rs import states
from celery_rs.context import AppLike
from celery_rs.errors import ContentDisallowed, ContentError, InvalidTaskError, NotRegistered
from celery_rs.execution.outcome import Outcome
from celery_rs.execution.records import failure_record
from celery_rs.execution.request import Request, Tell
from celery_rs.execution.run import Run, carry_out
from celery_rs.execution.traces import printable
from celery_rs.execution.work import Work
from celery_rs.serializers import content_types, decompress, reader
from celery_rs.wire import ResultCodec, preview

_REFUSED = (ContentDisallowed, ContentError, InvalidTaskError, NotRegistered)


def execute(app: AppLike, work: Work, *, hostname: str, tell: Tell) -> Outcome:
    """Never raises for what a message holds or a task does. `tell` takes records to be stored during the run."""
    began = time.monotonic()
    request = None
    try:
        request = Request.open(work, hostname, tell)
        task = find(app, work.task)
        read_body(app, request, work)
    except _REFUSED as error:
        return _refused(app, work, request, error, time.monotonic() - began)
    return carry_out(Run(app, task, request, work.id, work.tag))


def find(app: AppLike, name: str) -> Any:
    """Raises NotRegistered."""
    task = app.tasks.get(name)
    if task is None:
        raise NotRegistered(name)
    return task


def read_body(app: AppLike, request: Request, work: Work) -> None:
    """Put the arguments into the request. Raises what makes the message one that cannot be run."""
    accepted = content_types(app.conf.accept_content)
    raw = decompress(work.body, request.compression) if request.compression is not None else work.body
    body = reader(work.content_type, accepted, work.content_encoding).loads(raw)
    match body:
        case [list() | tuple() as args, dict() as kwargs, dict() | None as embed]:
            request.args, request.kwargs = list(args), kwargs
        case _:
            raise InvalidTaskError(f"expected a body [args, kwargs, options], got {preview(body, 80)}")
    if embed:
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


def _refused(app: AppLike, work: Work, request: Request | None, error: BaseException, runtime: float) -> Outcome:
    """A message that cannot be run: the caller hears why, and the message becomes a dead letter."""
    known = _Unrun(work.id) if request is None else _Unrun(work.id, request.retries, request.group, request.parent_id)
    unwanted = request is not None and request.ignore_result is True
    codec = ResultCodec.of(app.conf)
    record = None if unwanted else failure_record(known, error, now=time.time(), codec=codec)
    return Outcome(work.tag, "reject", states.FAILURE, runtime, printable(str(error)), record=record)


class _Unrun(NamedTuple):
    """What is known of a task that was refused."""

    id: str
    retries: int = 0
    group: str | None = None
    parent_id: str | None = None
