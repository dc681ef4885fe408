"""The queue that results of this process's calls come to, and who reads it: one of those who wait, for all.

While nobody waits a thread reads, so that the queue does not fill and a connection that breaks is made again before the
next call is sent. It lets whoever waits read at once, and comes back when nobody has for a moment.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

from celery_rs import states
from celery_rs.backends.rpc.kept import Kept
from celery_rs.backends.turns import Turns, Waiter
from celery_rs.errors import OperationalError
from celery_rs.transports import Subscription
from celery_rs.wire import TaskResult

log = logging.getLogger("celery_rs.results")

PAUSES = (0.0, *(1.0 for _ in range(19)))
"""How long a wait goes on without the broker, as in Celery."""
PATIENCE_S = 5.0
"""How long a call waits for a queue that its result can come to."""
_LONG_S = 60.0
_GRACE_S = 0.02
"""Who has just waited often waits again: it is not disturbed for so long."""

Opened = Callable[[bytes], TaskResult | None]


class Wait(Waiter[TaskResult]):
    """What one caller waits for. Made by `Inbox.join`."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__()
        self.ids = ids


class Inbox:
    """Any thread. `opened` reads an envelope, None for one that is no result; `pauses` are those between tries."""

    def __init__(
        self,
        subscribe: Callable[[], Subscription],
        opened: Opened,
        kept: Callable[[], Kept],
        *,
        clock: Callable[[], float] = time.time,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._subscribe = subscribe
        self._opened = opened
        self._make_kept = kept
        self._clock = clock
        self._pauses = pauses
        self._begin()

    def _begin(self) -> None:
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._turns: Turns[TaskResult] = Turns(self._lock)
        self._waits: dict[str, list[Wait]] = {}
        self._kept = self._make_kept()
        self._warned = False
        self._subscription: Subscription | None = None
        self._is_there = threading.Event()
        """The queue is there, as far as is known."""
        self._why_not: OperationalError | None = None
        self._failures = 0
        self._caretaker: Waiter[TaskResult] = Waiter()
        self._unread = threading.Event()
        """Nobody has read since the caretaker looked last."""

    # The queue

    def expect(self) -> None:
        """A call is about to be sent: have a queue for its result. Raises OperationalError."""
        subscription = self._subscription
        if subscription is not None and self._is_there.is_set():
            if not subscription.is_lost():
                return
            self._is_there.clear()
            subscription.wake()  # whoever reads makes it again
        self.open()
        if not self._is_there.wait(PATIENCE_S):
            raise self._why_not or OperationalError("the queue that results come to is not there; is the broker?")

    def open(self) -> None:
        """Have a queue, or at least somebody who tries. Raises OperationalError."""
        with self._opening:
            if self._subscription is not None:
                return
            subscription = self._subscribe()
            with self._lock:
                self._subscription = subscription
                self._unread.set()
            self._is_there.set()
            threading.Thread(
                target=self._take_care, args=(subscription,), name="celery-rs-replies", daemon=True
            ).start()

    @property
    def is_open(self) -> bool:
        return self._subscription is not None

    # What has come

    def look(self, ids: Collection[str]) -> list[TaskResult]:
        """What there is of these."""
        looker: Waiter[TaskResult] = Waiter()
        subscription = self._subscription
        if subscription is not None and self._turns.reads_if_free(looker):
            try:
                self._receive(subscription, 0.0)
            finally:
                self._hand_on(looker)
        with self._lock:
            now = self._clock()
            self._kept.expire(now)
            found = [record for task_id in ids if (record := self._kept.get(task_id)) is not None]
            for record in found:
                if record.state in states.READY_STATES:
                    self._kept.tell(record.task_id, now)
            return found

    def forget(self, ids: Collection[str]) -> None:
        with self._lock:
            for task_id in ids:
                self._kept.forget(task_id)

    def expire(self) -> None:
        with self._lock:
            self._kept.expire(self._clock())

    # Waiting

    def join(self, ids: Collection[str]) -> Wait:
        """Be told of these when they are ready; of those that are, at once."""
        wait = Wait(ids)
        ready = []
        with self._lock:
            for task_id in ids:
                record = self._kept.get(task_id)
                if record is not None and record.state in states.READY_STATES:
                    ready.append(record)
                else:
                    self._waits.setdefault(task_id, []).append(wait)
            now = self._clock()
            for record in ready:  # only now, since what is told makes room for what is told after it
                wait.news.put(record)
                self._kept.tell(record.task_id, now)
        return wait

    def leave(self, wait: Wait) -> None:
        """Harmless when repeated, and for what has been told."""
        with self._lock:
            for task_id in wait.ids:
                waits = self._waits.get(task_id)
                if waits is not None and wait in waits:
                    waits.remove(wait)
                    if not waits:
                        del self._waits[task_id]

    def hear(self, wait: Wait, deadline: float | None) -> list[TaskResult]:
        """The next records, waiting for the first; none at the deadline. Raises OperationalError."""
        try:
            while not (news := wait.take()):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return []
                if self._turns.reads(wait):
                    self._read_for_all(wait, deadline)
                else:
                    self._ask_for_the_turn()
                    wait.stand(left)
            return news
        finally:
            self._hand_on(wait)

    def _ask_for_the_turn(self) -> None:
        subscription = self._subscription
        if subscription is not None and self._turns.reader is self._caretaker:
            subscription.wake()

    def _hand_on(self, waiter: Waiter[TaskResult]) -> None:
        self._turns.hand_on(waiter)
        if self._turns.reader is None and not self._unread.is_set():
            self._unread.set()

    # Reading; whose turn it is

    def _read_for_all(self, wait: Wait, deadline: float | None) -> None:
        """Until there is news for this wait, or its deadline comes."""
        while wait.news.empty():
            left = _LONG_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return
            subscription = self._subscription
            if subscription is None:
                self._tell_of(OperationalError("the connection that results come by has been closed; wait anew"))
                return
            self._receive_patiently(subscription, left)

    def _take_care(self, subscription: Subscription) -> None:
        """Thread: reads while nobody else does, until the subscription is closed."""
        me = self._caretaker
        while self._subscription is subscription:
            self._unread.wait()
            time.sleep(_GRACE_S)
            self._unread.clear()
            if not self._turns.reads_if_free(me):
                continue
            try:
                while self._subscription is subscription and not self._turns.any_stand:
                    self._receive_patiently(subscription, _LONG_S)
            except Exception:
                log.exception("nobody reads results while nobody waits for any, since reading failed")
                return
            finally:
                self._hand_on(me)

    def _receive_patiently(self, subscription: Subscription, seconds: float) -> None:
        """Takes a failure for what will pass; tells all who wait once it has lasted."""
        try:
            self._receive(subscription, seconds if self._is_there.is_set() else 0.0)
            if not subscription.is_lost():  # else it is about to fail, once what is left on it has been read
                self._is_there.set()
            self._failures = 0
        except OperationalError as error:
            self._why_not = error
            self._is_there.clear()
            if self._failures == len(self._pauses):
                self._failures = 0
                self._tell_of(error)
                return
            pause = self._pauses[self._failures]
            self._failures += 1
            time.sleep(min(pause, seconds))

    def _receive(self, subscription: Subscription, seconds: float) -> None:
        records = [record for raw in subscription.receive(seconds) if (record := self._opened(raw)) is not None]
        if not records:
            return
        with self._lock:
            now = self._clock()
            for record in records:
                self._tell(record, now)
            warn = self._kept.dropped > 0 and not self._warned
            self._warned = self._warned or warn
        if warn:
            log.warning(
                "more results have come than are kept for a process that does not ask for them, and the oldest are "
                "dropped; call with ignore_result=True what nobody waits for"
            )

    def _tell(self, record: TaskResult, now: float) -> None:
        if not self._kept.put(record, now) or record.state not in states.READY_STATES:
            return
        waits = self._waits.pop(record.task_id, ())
        for wait in waits:
            wait.news.put(record)
        if waits:
            self._kept.tell(record.task_id, now)

    def _tell_of(self, error: OperationalError) -> None:
        """Nobody who waits now will hear anything."""
        with self._lock:
            waits = {wait: None for waiting in self._waits.values() for wait in waiting}
        for wait in waits:
            wait.news.put(error)

    # The end

    def after_fork(self) -> None:
        """In a child: the queue is the parent's, and so are those who wait and what has come."""
        self._begin()

    def close(self) -> None:
        """The queue goes. Who still waits is told so."""
        with self._opening, self._lock:
            subscription, self._subscription = self._subscription, None
            self._is_there.clear()
        if subscription is None:
            return
        closer: Waiter[TaskResult] = Waiter()
        try:
            while not self._turns.reads(closer):
                subscription.wake()
                closer.stand(_GRACE_S)
            subscription.close()
        finally:
            self._hand_on(closer)
