"""A call → a message on its route → the broker.

What a task's declaration, the routes and the settings say about its calls is worked out once per version of the
settings; a call then adds its own options, its arguments and fresh ids.
"""

import logging
import marshal
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from functools import partial
from itertools import groupby, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from celery_rs.app.announce import Draft, announce, tell
from celery_rs.app.options import check_call, check_policy, delivery_mode, patience
from celery_rs.app.router import Destination, Router
from celery_rs.app.stencil import NO_EMBED, Arguments, Stencil
from celery_rs.app.times import check_limits, expiry, moment
from celery_rs.backends import is_rpc
from celery_rs.canvas import embedded
from celery_rs.config import zone
from celery_rs.context import current_request
from celery_rs.errors import OperationalError, Unroutable
from celery_rs.execution import Said
from celery_rs.results import AsyncResult, Succession
from celery_rs.serializers import JSON, Serializer, compression_type, serializer
from celery_rs.signals import after_task_publish, before_task_publish
from celery_rs.transports import Outgoing, Route, Wait
from celery_rs.wire import Message, Queue, as_protocol_1, preview, sent_fields

if TYPE_CHECKING:
    from celery_rs.app.app import Celery
    from celery_rs.app.task import Task

log = logging.getLogger("celery_rs.app")

_CLEARABLE = frozenset({"expires", "time_limit", "soft_time_limit"})
_OF_THE_TASK = (
    "queue", "exchange", "routing_key", "priority", "delivery_mode", "serializer", "compression", "expires",
    "time_limit", "soft_time_limit", "ignore_result",
)  # fmt: skip
_MOMENTS = frozenset({"eta", "countdown", "expires"})
_SENDING = frozenset({"timeout", "confirm_timeout"})
_PLANS = 4096
PATIENCE_S = 5.0
"""How long a caller waits for a broker that does not answer."""
_LAST_TRY_S = 0.5
"""How long at least one more attempt may take."""


class _Plan(NamedTuple):
    """What holds for every call of one task; `destination` only where no call can change it."""

    options: dict[str, Any]
    destination: Destination | None
    writer: Serializer


class Call(NamedTuple):
    """A call as it was given. `task` is None where this process does not know it."""

    task: "Task[..., Any] | None"
    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]


class Publisher:
    """One per app. Any thread."""

    def __init__(self, app: "Celery") -> None:
        self._app = app
        self._version: int | None = None
        self._plans: dict[str, _Plan] = {}
        self._stencils: dict[str, Stencil] = {}
        """For calls without options outside of tasks, by task."""
        self._show: Callable[[object], str] = preview
        self._router: Router
        self._eager = False
        self._sends_events = False
        self._results_come_here = False
        self._default_mode = 2
        self._protocol = 2
        self._inherit_priority = False
        self._zone: tzinfo | None = UTC
        self._declared: set[str] = set()
        self._called: Succession[AsyncResult[Any]] = Succession()
        self.after_fork()

    def after_fork(self) -> None:
        """A child says who it is itself, and has declared nothing."""
        self._origin = f"gen{os.getpid()}@{os.uname().nodename}"
        self._reply_to = self._app.oid
        self._stencils = {}
        self._declared = set()

    @property
    def router(self) -> Router:
        self._refresh()
        return self._router

    @property
    def eager(self) -> bool:
        """Whether tasks run where they are called: the setting, at the price of a look."""
        if self._version != self._app.conf.version:
            self._refresh()
        return self._eager

    def send(
        self,
        task: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        add_to_parent: bool = True,
        retry: bool | None = None,
        retry_policy: Mapping[str, Any] | None = None,
    ) -> AsyncResult[Any]:
        """Compose a call, hand it to the broker, and count it among the running task's children."""
        retry_policy = self.policy(retry_policy)
        outgoing = self.compose(task, args, kwargs, options, retry_policy)
        deadline = None if _SENDING.isdisjoint(options) else patience(options)
        self.publish((outgoing,), retry, retry_policy, deadline)
        result = self.result(outgoing.message)
        if add_to_parent:
            self.add_to_parent((result,))
        return result

    def policy(self, given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """How often it is tried to send; None is what the settings say. Raises TypeError."""
        if given is not None:
            check_policy(given)
        if before_task_publish.receivers:
            return dict(given or self._app.conf.task_publish_retry_policy)  # which they may change
        return given

    def result(self, message: Message) -> AsyncResult[Any]:
        """The handle of what the call will return."""
        ignored = bool(message.ignore_result)
        result: AsyncResult[Any] = AsyncResult(message.id, app=self._app, task_name=message.task, ignored=ignored)
        if not ignored:
            self._called.append(result)
        return result

    def add_to_parent(self, results: Sequence[AsyncResult[Any]]) -> None:
        """Count them among the children of the task that runs here, if one does."""
        request = current_request()
        if request is not None:
            request.children.extend(results)

    def compose(
        self,
        task: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        policy: Mapping[str, Any] | None = None,
    ) -> Outgoing:
        """A call as a message on its route, as the receivers of before_task_publish have left it.

        Raises TypeError for arguments or options that make no sense, EncodeError for values that cannot travel.
        """
        return self._composed(task, ((args, kwargs),), options, policy=policy)[0]

    def compose_many(self, calls: Sequence[Call], policy: Mapping[str, Any] | None = None) -> list[Outgoing]:
        """`compose` for each; in one go for those in a row that differ in their arguments and ids only."""
        self._refresh()
        composed: list[Outgoing] = []
        for (task, _), group in groupby(calls, key=_likeness if self._router.remembers else _itself):
            alike = list(group)
            ids = [options.get("task_id") for *_, options in alike] if alike[0].options else None
            pairs = [(args, kwargs) for _, _, args, kwargs, _ in alike]
            composed += self._composed(task, pairs, alike[0].options, ids, policy)
        return composed

    def _composed(
        self,
        task: str,
        calls: Sequence[Arguments],
        options: Mapping[str, Any],
        ids: Sequence[str | None] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> list[Outgoing]:
        """Calls of one task with the same options; `ids` are their own."""
        stencil = self._stencil(task, calls[0], options)
        messages = stencil.messages(calls, (options.get("task_id"),) if ids is None and options else ids, self._show)
        _, _, writer, (route, queue, first), not_before, expires_at = stencil
        for each in first:
            self._declare(each)
        batch = [Outgoing(message, route, not_before, None, expires_at) for message in messages]
        if before_task_publish.receivers:
            said = policy if isinstance(policy, dict) else dict(policy or {})
            for index, (args, kwargs) in enumerate(calls):
                shown = (list(args), dict(kwargs), dict(stencil.embed))
                draft = Draft(batch[index], shown, queue, writer, stencil.like.compression)
                batch[index] = announce(draft, said, self._zone)
        if self._protocol == 1:
            return [outgoing._replace(message=as_protocol_1(outgoing.message)) for outgoing in batch]
        return batch

    def _stencil(self, task: str, first: Arguments, options: Mapping[str, Any]) -> Stencil:
        """What holds for all calls of a task with these options; of the arguments of the first only routers know."""
        if self._version != self._app.conf.version:
            self._refresh()
        request = current_request()
        if not options and request is None:
            kept = self._stencils.get(task)
            if kept is not None:
                return kept
        plan = self._plans.get(task) or self._plan(task)
        if options or plan.destination is None:
            chosen, destination, writer = self._chosen(plan, task, *first, options)
        else:
            chosen, destination, writer = plan.options, plan.destination, plan.writer
        stencil = self._cut(task, chosen, destination, writer, request)
        if not options and request is None and plan.destination is not None and _MOMENTS.isdisjoint(chosen):
            self._stencils[task] = stencil
        return stencil

    def _cut(
        self, task: str, chosen: Mapping[str, Any], destination: Destination, writer: Serializer, request: Any
    ) -> Stencil:
        get = chosen.get
        root_id, parent_id, priority = self._ancestry(get, request)
        eta, not_before = moment(get("eta"), get("countdown"), "eta", self._zone)
        expires, expires_at, expiration = expiry(get("expires"), self._zone)
        hard, soft = get("time_limit"), get("soft_time_limit")
        if hard is not None or soft is not None:
            check_limits(time_limit=hard, soft_time_limit=soft)
        headers, stamps, mode = get("headers"), get("stamps"), get("delivery_mode")
        if mode is not None:
            mode = delivery_mode(mode)
        compression = get("compression")
        like = Message(
            task,
            "",
            b"",
            "",
            writer.content_type,
            writer.content_encoding,
            get("shadow"),
            eta,
            expires,
            get("group_id"),
            get("group_index"),
            get("retries") or 0,
            hard,
            soft,
            root_id,
            parent_id,
            get("argsrepr") or "",
            get("kwargsrepr") or "",
            get("origin") or self._origin,
            get("ignore_result"),
            get("replaced_task_nesting") or 0,
            get("stamped_headers"),
            JSON.dumps(stamps, "stamps") if stamps else b"{}",
            None if compression is None else compression_type(compression),
            JSON.dumps(headers, "headers") if headers else b"",
            get("reply_to") or self._reply_to,
            priority,
            self._default_mode if mode is None else mode,
            expiration,
        )
        embed = _embed(chosen) if "link" in chosen or "link_error" in chosen else NO_EMBED
        return Stencil(like, embed, writer, destination, not_before, expires_at)

    def publish(
        self,
        batch: Sequence[Outgoing],
        retry: bool | None = None,
        policy: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> None:
        """Hand the batch to the broker, again and again as task_publish_retry_policy says. Raises OperationalError.

        Inside a task the broker must have stored it: the run that sent it may be acknowledged next. `deadline` is how
        many seconds one attempt may take. Unless the policy is to try without end, all of them together take no longer
        than PATIENCE_S, so that a broker that hangs does not hang its callers.
        """
        wait: Wait = "written" if current_request() is None and deadline is None else "stored"
        transport, began = self._app.transport, time.monotonic()
        pauses: Iterator[float] | None = None
        awaits = self._results_come_here and not all(outgoing.message.ignore_result for outgoing in batch)
        patience = PATIENCE_S if deadline is None else deadline
        while True:
            try:
                if awaits:
                    self._have_a_queue_for_results()
                transport.publish(batch, wait=wait, deadline=patience)
                break
            except Unroutable:
                raise  # trying again changes nothing
            except OperationalError:
                pauses = pauses or self._retries(retry, policy, began + PATIENCE_S)
                pause = next(pauses, None)
                if pause is None:
                    raise
                time.sleep(pause)
                if deadline is None:
                    patience = max(_LAST_TRY_S, began + PATIENCE_S - time.monotonic())
        self.tell(batch)

    def _have_a_queue_for_results(self) -> None:
        """Raises OperationalError. A store of the user's own (override_backends) may do without."""
        expect = getattr(self._app.backend, "expect", None)
        if expect is not None:
            expect()

    def _retries(self, retry: bool | None, policy: Mapping[str, Any] | None, until: float) -> Iterator[float]:
        """How long to wait before each further attempt, none of which begins later than `until`."""
        conf = self._app.conf
        if not (conf.task_publish_retry if retry is None else retry):
            return
        chosen: Mapping[str, Any] = policy or conf.task_publish_retry_policy
        endless = chosen.get("max_retries", 3) is None
        for pause in _pauses(chosen):
            if not endless and time.monotonic() + pause > until:
                return
            yield pause

    def tell(self, batch: Sequence[Outgoing]) -> None:
        """Say that these have been sent; a run's follow-ups are with its worker, which sends them at the run's end."""
        if after_task_publish.receivers:
            tell(batch)
        if self._sends_events:
            self._tell_monitors(batch)

    def _tell_monitors(self, batch: Sequence[Outgoing]) -> None:
        """Inside a task by its worker, else at once. What monitors do not hear is no reason to fail a call."""
        request = current_request()
        for message, route, *_ in batch:
            fields = sent_fields(message, *route, self._queue_of(route))
            if request is not None and request.tell(Said.now("task-sent", fields)):
                continue
            try:
                self._app.events.Dispatcher(hostname=self._origin).send("task-sent", **fields)
            except OperationalError as error:
                log.warning("no monitor hears that task %s[%s] was sent: %s", message.task, message.id, error)

    def _queue_of(self, route: Route) -> str | None:
        """The queue that a message with this exchange and key comes to."""
        if not route.exchange:
            return route.routing_key
        places = {(queue.exchange.name, queue.routing_key): queue.name for queue in self.router.queues()}
        return places.get((route.exchange, route.routing_key))

    # what is worked out once

    def _refresh(self) -> None:
        conf = self._app.conf
        version = conf.version
        if version == self._version:
            return
        self._router = Router(conf, self._app.amqp.queues.added)
        self._eager = bool(conf.task_always_eager)
        self._default_mode = delivery_mode(conf.task_default_delivery_mode) or 2
        self._show = partial(preview, depth=conf.task_repr_maxlevels)
        self._protocol = conf.task_protocol
        self._sends_events = bool(conf.task_send_sent_event)
        self._results_come_here = is_rpc(self._app.backend_url)
        self._inherit_priority = conf.task_inherit_parent_priority
        # None is the local zone of this process
        self._zone = zone(conf.timezone) if conf.timezone else UTC if conf.enable_utc else None
        self._plans = {}
        self._stencils = {}
        self._version = version

    def route_of(self, task: str) -> Route:
        """Where a call without arguments and options goes; nothing is declared, and no receiver hears of it.

        Raises QueueNotFound, and whatever a router raises.
        """
        self._refresh()
        plan = self._plans.get(task) or self._plan(task)
        destination = plan.destination or self._chosen(plan, task, (), {}, {})[1]
        return destination.route

    def forget_routes(self) -> None:
        """What is known of queues and routes has changed, though no setting was set."""
        self._version = None

    def forget(self, task: str) -> None:
        """The task's declaration has changed."""
        self._plans.pop(task, None)
        self._stencils.pop(task, None)

    def _plan(self, name: str) -> _Plan:
        if not isinstance(name, str):
            raise TypeError(f"the name of a task must be a string, got {name!r}")
        task: Task[..., Any] | None = self._app.declared(name)
        options = (
            {} if task is None else {key: value for key in _OF_THE_TASK if (value := getattr(task, key)) is not None}
        )
        options.setdefault("serializer", self._app.conf.task_serializer)
        if self._app.conf.task_compression is not None:
            options.setdefault("compression", self._app.conf.task_compression)
        if task is None and self._app.conf.task_default_priority is not None:
            options["priority"] = self._app.conf.task_default_priority
        if not self._router.remembers:
            return self._keep(name, _Plan(options, None, serializer(options["serializer"])))
        merged = options | self._router.options(name, (), {}, {}, task)
        return self._keep(name, _Plan(merged, self._router.destination(merged), serializer(merged["serializer"])))

    def _keep(self, name: str, plan: _Plan) -> _Plan:
        if len(self._plans) >= _PLANS:
            self._plans.clear()
            self._stencils.clear()
        self._plans[name] = plan
        return plan

    # what a call says

    def _chosen(
        self, plan: _Plan, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Destination, Serializer]:
        """The options of the call over those of the routes over those of the task."""
        check_call(options)
        said = {key: value for key, value in options.items() if value is not None or key in _CLEARABLE}
        chosen = plan.options
        if plan.destination is None:
            chosen = chosen | self._router.options(task, args, kwargs, said, self._app.declared(task))
        if not _ROUTING.isdisjoint(said):
            # A call that names its queue does not inherit another's exchange and key.
            chosen = {key: value for key, value in chosen.items() if key not in _ROUTING or "queue" not in said}
        merged = chosen | said
        if plan.destination is not None and _ROUTING.isdisjoint(said):
            destination = plan.destination
        else:
            destination = self._router.destination(merged)
        name = str(merged["serializer"])
        return merged, destination, plan.writer if name == plan.writer.name else serializer(name)

    def _ancestry(self, get: Any, request: Any) -> tuple[str | None, str | None, int]:
        """Root, parent and priority: what the call says, else what the running task passes on.

        A call without a root is its own.
        """
        root_id, parent_id, priority = get("root_id"), get("parent_id"), get("priority")
        if request is not None and request.id is not None:
            root_id = root_id or request.root_id
            parent_id = parent_id or request.id
            if priority is None and self._inherit_priority:
                priority = request.delivery_info["priority"]
        return root_id, parent_id, priority or 0

    def _declare(self, queue: Queue) -> None:
        """A message to an exchange is lost unless a queue is bound to it."""
        if queue.name not in self._declared:
            self._app.transport.declare([queue])
            self._declared.add(queue.name)


_ROUTING = frozenset({"queue", "exchange", "routing_key"})


def _embed(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a message carries beside the arguments."""
    callbacks = embedded(options.get("link"), "link")
    errbacks = embedded(options.get("link_error"), "link_error")
    return {"callbacks": callbacks, "errbacks": errbacks, "chain": None, "chord": None}


def _likeness(call: Call) -> tuple[str, object]:
    """Equal for calls that differ in their arguments and ids only. Types count: 1 is written otherwise than True."""
    options = call.options
    if not options:
        return call.name, b""
    try:
        return call.name, marshal.dumps({name: options[name] for name in options if name != "task_id"}, 2)
    except ValueError:
        return _itself(call)


def _itself(call: Call) -> tuple[str, object]:
    """Equal to no other."""
    return call.name, object()


def _pauses(policy: Mapping[str, Any]) -> Iterator[float]:
    """How long to wait before each further attempt."""
    most, step, cap = policy.get("max_retries", 3), policy.get("interval_step", 0.2), policy.get("interval_max", 1)
    pause = policy.get("interval_start", 0)
    for _ in range(most) if most is not None else repeat(None):
        yield min(pause, cap)
        pause += step
