"""The one thread that owns the worker's state.

It waits on the inbox and on the pool's sockets, turns events into state, asks the pure deciders what to do, and
hands the doing to others: jobs to the pool, writes to the completer. It never waits for a broker or a store.
"""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from celery_rs._core import RateLimiter
from celery_rs.context import AppLike
from celery_rs.control import REVOKED
from celery_rs.execution import Outcome
from celery_rs.transports import Burial, Completion, Tag
from celery_rs.wire import ReplyTo, reply_exchange, seal_reply
from celery_rs.worker import commands, inbox, journal, settlement
from celery_rs.worker.addressing import addressed
from celery_rs.worker.autoscale import Autoscale
from celery_rs.worker.bulletin import Bulletin, Load
from celery_rs.worker.completer import Begin, Bury, Completer, Defer, GiveBack, Progress, Reply
from celery_rs.worker.deadlines import Deadlines
from celery_rs.worker.dispatcher import Dispatcher, Entry, Moment, Revoked, Rulings
from celery_rs.worker.endings import Endings, cause_of, orphaned
from celery_rs.worker.lifecycle import Lifecycle, Phase
from celery_rs.worker.notices import Notices
from celery_rs.worker.own_requests import OwnRequests
from celery_rs.worker.pools import Announced, Finished, Job, Lost, Pool, PoolBroken, Returned, Running, Started
from celery_rs.worker.pools import Progress as PoolProgress
from celery_rs.worker.receiver import Receiver
from celery_rs.worker.runtimes import Runtimes
from celery_rs.worker.stopping import obey
from celery_rs.worker.upgrading import upgraded
from celery_rs.worker.watch import Watch
from celery_rs.worker.window import Window

logger = logging.getLogger("celery.worker")

BEGUN_AFTER_S = 0.005
"""A job that has run this long is put on record as begun; a shorter one is finished before anybody asks."""
STALLED_S = 0.1
"""Ready jobs that have waited this long while every child is busy go back for other workers."""

REQUEUED_AGAIN_S = 0.5
"""A message that a task has sent back before waits this long, or a task that always does so would never let go."""


class Loop:
    """Owns dispatcher, window, deadlines and lifecycle; everybody else talks to it through the inbox."""

    def __init__(
        self,
        app: AppLike,
        *,
        hostname: str,
        dispatcher: Dispatcher,
        limiter: RateLimiter,
        window: Window,
        lifecycle: Lifecycle,
        pool: Pool,
        watch: Watch,
        box: inbox.Inbox,
        completer: Completer,
        receiver: Receiver,
        endings: Endings,
        bulletin: Bulletin,
        counts: journal.Counts,
        state: Callable[["Loop"], commands.WorkerState],
        autoscale: Autoscale | None = None,
    ) -> None:
        self.app = app
        self.hostname = hostname
        self.dispatcher = dispatcher
        self.limiter = limiter
        self.window = window
        self.lifecycle = lifecycle
        self.pool = pool
        self.counts = counts
        self.bulletin = bulletin
        self.autoscale = autoscale
        self._inbox = box
        self._completer = completer
        self._receiver = receiver
        self._endings = endings
        self._state = state(self)
        self._deadlines = Deadlines()
        self._notices = Notices(app, hostname, self)
        self._own_requests = OwnRequests(app, hostname)
        self._condemned: dict[Tag, signal.Signals] = {}  # jobs that run and were told to end
        self._runtimes = Runtimes()
        self._watch = watch
        self._handled = 0
        self._drained = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            inbox.Delivered: self._on_delivered,
            inbox.FactsLearnt: self._on_facts,
            inbox.LeasesLost: self._on_leases_lost,
            inbox.Orphaned: self._on_orphaned,
            inbox.Settled: self._on_settled,
            inbox.Asked: self._on_asked,
            inbox.Signalled: self._on_signalled,
            Finished: self._on_finished,
            PoolProgress: self._on_progress,
            Announced: lambda event: self.bulletin.said(event.said),
            Started: self._on_started,
            Returned: self._on_returned,
            Lost: self._on_lost,
            PoolBroken: self._on_broken,
            inbox.ThreadDied: self._on_broken,
        }

    def run(self) -> int:
        """Work until the lifecycle ends; returns the exit code."""
        unwatch = self._watch(self._inbox.fileno(), lambda: None)
        self.bulletin.online(self.load(), self._notices, _now().mono)
        self._turn(_now())
        while self.lifecycle.phase < Phase.STOPPED:
            self._watch.wait(self._patience(_now()))
            for event in self._inbox.take():
                self._handlers[type(event)](event)
            self._turn(_now())
        unwatch()
        self.bulletin.offline(self.load(), self._notices)
        return self.lifecycle.exit_code

    def set_rate(self, task: str, rate: str | float | None) -> None:
        """Change a rate limit; what is parked for it waits as long as the new one says. Raises ValueError."""
        now = _now().mono
        old = self.limiter.rate(task)
        self.limiter.set(task, rate, now)
        self.dispatcher.rate_changed(task, old, self.limiter.rate(task), now)

    def resize(self, size: int) -> None:
        """Run so many tasks at once. Raises ValueError, NotSupported."""
        before = self.pool.size
        self.pool.resize(size)
        if size != before:
            logger.info("Scaling %s %d processes.", "up" if size > before else "down", abs(size - before))
        self.window.slots = self.pool.size if self.autoscale is None else max(self.pool.size, self.autoscale.most)

    def set_bounds(self, most: int | None, least: int | None) -> tuple[int, int]:
        """Change the bounds of autoscaling; returns them. Raises ValueError."""
        scale = self.autoscale
        if scale is None:
            raise ValueError("Autoscale not enabled")
        most, least = scale.most if most is None else most, scale.least if least is None else least
        if not 0 <= least <= most <= self.pool.most:
            raise ValueError(f"expected 0 <= min <= max <= {self.pool.most}, got max={most} min={least}")
        scale.most, scale.least = most, least
        self.resize(max(least, min(self.pool.size, most)))
        return most, least

    def shut_down(self) -> None:
        """A warm shutdown on request."""
        before = self.lifecycle.phase
        self.lifecycle.asked_to_stop()
        journal.shutting_down(before, self.lifecycle.phase, signal.SIGTERM)

    def revoke(self, revoked: Callable[[Entry], bool], signum: signal.Signals | None = None) -> list[str]:
        """Let no task go on that was just revoked, wherever it is here; with a signal, also end those that run.

        Returns the ids of those that are here. The ids themselves have been added to the dispatcher's revokes.
        """
        here = [entry for entry in self.dispatcher.waiting() if revoked(entry)]
        out = {key: entry for key, entry in self.dispatcher.out.items() if revoked(entry)}
        self.dispatcher.recheck(_now().wall)
        started = {job.tag for job in self.pool.running()} & out.keys()
        if out.keys() - started:
            self.pool.recall([key for key in out if key not in started])
        if signum is not None:
            # Looked at again: a job that started just before it was recalled runs on.
            for key in {job.tag for job in self.pool.running()} & out.keys():
                self._condemned[key] = signum
                journal.terminating(out[key], signum)
                self.pool.interrupt(key, signum)
        return list(dict.fromkeys(entry.envelope.id for entry in (*out.values(), *here)))

    # -- one turn

    def _turn(self, now: Moment) -> None:
        self._apply(self.dispatcher.release(now))
        if self.lifecycle.phase >= Phase.DRAINING:
            self._drain(now.mono)
        else:
            if self.autoscale is not None:
                self._scale(self.autoscale, now.mono)
            self._submit()
            self._return_stalled(now.mono)
            self._receiver.allow(self.window.open(self.dispatcher.in_hand, now.mono), handled=self._handled)
        self._supervise(now.mono)
        if self.bulletin.beats(now.mono):
            self.beat()
        if self.dispatcher.idle:
            self.lifecycle.idle(now.mono)

    def _patience(self, now: Moment) -> float | None:
        """Seconds until something is due by the clock alone; None when nothing is."""
        times = [
            self.dispatcher.parked_until(),
            self.pool.tick(now.mono),
            now.mono + BEGUN_AFTER_S if self.dispatcher.unbegun else None,
            now.mono + STALLED_S if self.dispatcher.ready else None,
            self.bulletin.due(),
            self.window.opens_at if self.lifecycle.phase < Phase.DRAINING else None,
        ]
        if len(self._deadlines):
            times.append(self._deadlines.soonest(self.pool.running()))
        if self.autoscale is not None:
            times.append(self.autoscale.due(self.pool.size, self.demand()))
        if self.lifecycle.phase == Phase.SOFT:
            times.append(self.lifecycle.soft_until)
        due = [when for when in times if when is not None]
        return max(0.0, min(due) - now.mono) if due else None

    def _submit(self) -> None:
        while (task := self.dispatcher.front()) is not None:
            batch = self._runtimes.batch(task)
            room = self.pool.room(batch=batch)
            if room <= 0:
                return
            # More of the same task, and others that are about as short: slower ones would hold it up.
            entries = self.dispatcher.take(room, task, self._runtimes.company(batch))
            jobs = []
            for entry in entries:
                if entry.has_limits:
                    self._deadlines.watch(entry.key, entry.soft_limit, entry.hard_limit)
                policy = entry.policy
                announce = policy.request is not None
                jobs.append(Job(entry.key, entry.envelope, entry.queue, entry.redelivered, announce, policy.late))
            self.pool.submit(jobs, batch=batch)
            if self.pool.blocks:
                self._begin([(entry, _now().mono) for entry in entries])  # its next chance would be after the run

    def _scale(self, scale: Autoscale, now: float) -> None:
        size = scale.size(self.pool.size, self.demand(), now)
        if size != self.pool.size:
            self.resize(size)

    def load(self) -> Load:
        """How busy it is."""
        active = len(self.pool.running())
        return Load(active, self.counts.total.total() + active)

    def beat(self) -> None:
        """Tell monitors that the worker lives."""
        self.bulletin.beat(self.load(), self._notices)

    def demand(self) -> int:
        """How many tasks would run now if the pool had room for all."""
        return self.dispatcher.ready + len(self.dispatcher.out)

    def _return_stalled(self, now: float) -> None:
        """Let other workers have what cannot start here soon."""
        if self.window.adaptive and self.dispatcher.longest_wait(now) > STALLED_S and self.pool.room(batch=1) <= 0:
            running = self.pool.running()
            if len(running) >= self.pool.size and all(now - job.began_at > STALLED_S for job in running):
                self.window.stalled()
                self._give_back(self.dispatcher.let_others_have())

    def _supervise(self, now: float) -> None:
        """Put on record what has begun, and enforce time limits."""
        if not self.dispatcher.unbegun and not len(self._deadlines):
            return
        running = self.pool.running()
        self._record_begun(running, now)
        for over in self._deadlines.overrun(running, now):
            entry = self.dispatcher.out.get(over.tag)
            if entry is not None:
                journal.overrun(entry, over)
                self.pool.interrupt(over.tag, over.how)
                if entry.policy.request is not None:
                    self._own_requests.overrun(entry, over)

    def _record_begun(self, running: Sequence[Running], now: float) -> None:
        out = self.dispatcher.out
        lasting = [(out.get(job.tag), job.began_at) for job in running if now - job.began_at >= BEGUN_AFTER_S]
        self._begin([(entry, at) for entry, at in lasting if entry is not None and not entry.begun])

    def _begin(self, entries: Sequence[tuple[Entry, float]]) -> None:
        """These have begun, at these monotonic times."""
        begun: dict[bool, list[Tag]] = {False: [], True: []}
        for entry, at in entries:
            self.dispatcher.begin(entry)
            if self.bulletin.tasks:
                self.bulletin.started(entry, time.time() - (time.monotonic() - at))
            begun[entry.policy.late].append(entry.tag)
        for late, tags in begun.items():
            if tags:
                self._completer.order(Begin(tags, late))

    def _drain(self, now: float) -> None:
        """Stop receiving, return what has not started, once; when stopping, kill what runs."""
        before = self.lifecycle.phase
        self.lifecycle.passed(now)
        journal.shutting_down(before, self.lifecycle.phase)
        if not self._drained:
            self._drained = True
            self._receiver.retire()  # what it brings all the same goes back by `let_go`, or when its consumer closes
            self.pool.recall()
        self._give_back(self.dispatcher.let_go())
        if self.lifecycle.phase >= Phase.STOPPING:
            for job in self.pool.running():
                self.pool.interrupt(job.tag, signal.SIGKILL)

    def _give_back(self, entries: Sequence[Entry]) -> None:
        if entries:
            self._completer.order(GiveBack([entry.tag for entry in entries]))

    # -- events

    def _on_delivered(self, event: inbox.Delivered) -> None:
        self._handled += 1
        now = _now()
        self.window.gathering.received(len(event.deliveries), event.asked, now.mono)
        if self.autoscale is not None and event.deliveries:
            self.autoscale.received(now.mono)
        self.dispatcher.lose(event.lost)
        rulings = self.dispatcher.admit(upgraded(event.deliveries, self.app), now)
        journal.received(rulings.received)
        self._notices.received(rulings)
        if self.bulletin.tasks:
            self.bulletin.received(rulings.received)
        self._apply(rulings)

    def _apply(self, rulings: Rulings) -> None:
        if rulings.dead:
            for dead in rulings.dead:
                journal.buried(dead)
                self._notices.dead(dead)
                if self.bulletin.tasks:
                    self.bulletin.dead(dead.delivery.envelope, dead.error)
            self.dispatcher.bury([dead.delivery.tag for dead in rulings.dead])
            self._completer.order(Bury({dead.delivery.tag: self._endings.burial(dead) for dead in rulings.dead}))
            # They took no slot any time: a queue of nothing else is received in large batches, too.
            self.window.observe([0.0] * len(rulings.dead))
        if rulings.deferred:
            self._completer.order(Defer(rulings.deferred))
        for expired in rulings.expired:
            journal.expired(expired.entry)
            self._completer.order(self._endings.expiry(expired))
            self._notices.revoked(expired.entry, expired=True)
            if self.bulletin.tasks:
                self.bulletin.revoked(expired.entry, expired=True)
        for revoked in rulings.revoked:
            self._discard(revoked)

    def _discard(self, revoked: Revoked) -> None:
        journal.revoked(revoked)
        self._completer.order(self._endings.revocation(revoked))
        self._notices.revoked(revoked.entry)
        if self.bulletin.tasks:
            self.bulletin.revoked(revoked.entry)

    def _on_facts(self, event: inbox.FactsLearnt) -> None:
        """What was revoked while this worker did not listen; also before it was started."""
        now = _now().wall
        facts = [fact for fact in event.facts if fact.kind == REVOKED]
        for fact in facts:
            if fact.value is None:
                self.dispatcher.revokes.drop(fact.key)
            else:
                self.dispatcher.revokes.add([fact.key], now, fact.until)
        if facts:
            ids = {fact.key for fact in facts if fact.value is not None}
            self.revoke(lambda entry: entry.envelope.id in ids)

    def _on_leases_lost(self, event: inbox.LeasesLost) -> None:
        logger.warning("worker: %d message(s) are held by another worker by now", len(event.tags))
        self.dispatcher.lose(event.tags)

    def _on_orphaned(self, event: inbox.Orphaned) -> None:
        """Begun work of dead workers: it is not run again, its caller learns what happened."""
        for delivery in upgraded(event.deliveries, self.app):
            self.dispatcher.bury([delivery.tag])
            self._completer.order(self._endings.orphan(delivery))
            journal.orphaned(delivery, orphaned())
            if self.bulletin.tasks:
                self.bulletin.dead(delivery.envelope, orphaned())

    def _on_settled(self, event: inbox.Settled) -> None:
        self.dispatcher.settled(event.tags)
        if event.awaited is not None:
            self.window.gathering.awaited = event.awaited

    def _on_finished(self, event: Finished) -> None:
        ended = [(self._end(outcome.tag), outcome) for outcome in event.outcomes]
        monitored, log = self.bulletin.tasks, journal.writes_ends()
        completions = []
        for entry, outcome in ended:
            if log or outcome.end != "success":
                journal.ended(entry, outcome)
            if monitored:
                self.bulletin.ended(entry, outcome)
            if entry.policy.request is not None:
                self._own_requests.ended(entry, outcome)
            if outcome.end == "success":
                tag, record = entry.tag, addressed(outcome.record, entry.envelope)
                completions.append(Completion(tag, "done", outcome.followups, record, outcome.part))
            else:
                self._settle_end(entry, outcome)
        if completions:
            self._completer.order(*completions)
        self.counts.add(entry.task for entry, _ in ended)
        self._runtimes.observe((entry.task, outcome.runtime) for entry, outcome in ended)
        self.window.observe([outcome.runtime for _, outcome in ended])

    def _settle_end(self, entry: Entry, outcome: Outcome) -> None:
        if (
            outcome.end in ("retry", "requeue")
            and (revoked := self.dispatcher.is_revoked(entry, _now().wall)) is not None
        ):
            self._discard(revoked)  # it would be dropped when it comes back, and its caller wait until then
            return
        settling = settlement.of_end(outcome.end, entry.policy)
        if settling == "bury":
            burial = Burial("rejected", outcome.text, addressed(outcome.record, entry.envelope))
            self._completer.order(Bury({entry.tag: burial}))
        elif settling == "back" and entry.redelivered:
            self._completer.order(Defer({entry.tag: _now().wall + REQUEUED_AGAIN_S}))
        elif settling == "back":
            self._completer.order(GiveBack([entry.tag], front=False))
        else:
            how: Literal["done", "rejected"] = "rejected" if settling == "rejected" else "done"
            record = addressed(outcome.record, entry.envelope)
            self._completer.order(Completion(entry.tag, how, outcome.followups, record, outcome.part))

    def _on_progress(self, event: PoolProgress) -> None:
        entry = self.dispatcher.out.get(event.tag)
        record = event.record if entry is None else addressed(event.record, entry.envelope)
        if record is not None:
            self._completer.order(Progress(record))

    def _on_started(self, event: Started) -> None:
        """Asked for by tasks with a request of their own: that others have begun is seen in the pool's pages."""
        entry = self.dispatcher.out.get(event.tag)
        if entry is not None:
            self._own_requests.started(entry, event)

    def _on_returned(self, event: Returned) -> None:
        for key in event.tags:
            self._deadlines.forget(key)
            self._condemned.pop(key, None)
        self.dispatcher.returned(event.tags, _now().wall)

    def _on_lost(self, event: Lost) -> None:
        signum = self._condemned.get(event.tag)
        entry = self._end(event.tag)
        self.counts.add([entry.task])
        # A cold shutdown kills on our orders, but nobody asked for the tasks to end.
        stopping = self.lifecycle.phase >= Phase.STOPPING and event.by_us == "terminate"
        settling = settlement.of_loss(event.by_us, entry.policy, entry.envelope.retries)
        if stopping and entry.policy.late:
            settling = "back"
        journal.lost(entry, event)
        if settling in ("back", "crashed"):
            self._completer.order(GiveBack([entry.tag], crashed=settling == "crashed"))
        elif settling == "retry":
            self._completer.order(self._endings.retry(entry, event))
        else:
            self._completer.order(self._endings.loss(entry, event, asked=not stopping))
        terminated = event.by_us == "terminate" and not stopping
        if signum is not None and terminated:
            self._notices.revoked(entry, signum=signum)
        if entry.policy.request is not None and settling not in ("back", "crashed") and not terminated:
            self._own_requests.lost(entry, cause_of(entry, event), again=settling == "retry")
        if self.bulletin.tasks:
            if terminated:
                self.bulletin.revoked(entry, signum=signum or signal.SIGKILL)
            elif settling not in ("back", "crashed"):
                self.bulletin.lost(entry, cause_of(entry, event), again=settling == "retry")

    def _end(self, key: Tag) -> Entry:
        if len(self._deadlines):
            self._deadlines.forget(key)
        if self._condemned:
            self._condemned.pop(key, None)
        return self.dispatcher.ended(key)

    def _on_broken(self, event: PoolBroken | inbox.ThreadDied) -> None:
        logger.critical("worker: %s; giving everything back and stopping", event.reason)
        self.lifecycle.broken()

    def _on_signalled(self, event: inbox.Signalled) -> None:
        obey(self.lifecycle, event.number, self.hostname, busy=bool(self.dispatcher.out), now=_now().mono)

    def _on_asked(self, event: inbox.Asked) -> None:
        request = event.request
        self.app.clock.adjust(request.clock)
        reply = commands.run(request, self._state)
        if request.reply_to is None or request.ticket is None:
            return
        answer = partial(self._answer, request.ticket, request.reply_to)
        if isinstance(reply, commands.Promise):
            reply.then(lambda kept: answer(lambda: kept))
        else:
            answer(reply.compute if isinstance(reply, commands.Later) else lambda: reply)

    def _answer(self, ticket: str, to: ReplyTo, compute: Callable[[], object]) -> None:
        """Any thread."""
        seal = partial(self._seal, compute, ticket, to)
        self._completer.order(Reply(reply_exchange(to.exchange), to.routing_key, seal))

    def _seal(self, compute: Callable[[], object], ticket: str, to: ReplyTo) -> bytes:
        """In the completer's thread."""
        return seal_reply(replace(self._endings.answer(ticket, compute()), clock=self.app.clock.forward()), to)


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
