"""The loop: what it hands to pool, completer and receiver, turn by turn, by a clock and events of the test's own."""

import signal
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

from celery_rs import Celery, _core, signals
from celery_rs.control import REVOKED, ControlRequest
from celery_rs.execution import Outcome
from celery_rs.transports import Completion, Delivery, Fact
from celery_rs.worker import loop as module
from celery_rs.worker.autoscale import Autoscale
from celery_rs.worker.bulletin import Bulletin
from celery_rs.worker.completer import Begin, Defer, GiveBack
from celery_rs.worker.dispatcher import Caps, Dispatcher, Moment
from celery_rs.worker.endings import Endings
from celery_rs.worker.heart import Heart
from celery_rs.worker.inbox import Asked, Delivered, Event, FactsLearnt, Inbox, Orphaned, Settled, Signalled
from celery_rs.worker.journal import Counts
from celery_rs.worker.lifecycle import Lifecycle
from celery_rs.worker.policy import Policy
from celery_rs.worker.pools import Finished, Job, Lost, Returned, Running
from celery_rs.worker.window import Window
from tests.messages import delivery

POLICIES = {
    "proj.add": Policy(),
    "proj.late": Policy(late=True),
    "proj.hard": Policy(hard_limit=5.0),
    "proj.quiet": Policy(send_events=False),
}


class FakePool:
    """One job at a time; the test says when it starts and ends."""

    size = 1
    most = 9

    def __init__(self, world: "World", *, blocks: bool = False) -> None:
        self.blocks = blocks
        self.jobs: list[Job] = []
        self.started: list[Running] = []
        self.interrupted: list[tuple[str, object]] = []
        self._world = world

    def room(self, *, batch: int) -> int:
        return self.size - len(self.jobs)

    def submit(self, jobs: Sequence[Job], *, batch: int) -> None:
        self.jobs += jobs

    def running(self) -> Sequence[Running]:
        return self.started

    def resize(self, size: int) -> None:
        self.size = size

    def recall(self, tags: Sequence[str] | None = None) -> None:
        running = {job.tag for job in self.started}
        back = [job for job in self.jobs if job.tag not in running]
        self.jobs = [job for job in self.jobs if job.tag in running]
        self._world.box.post(Returned([job.tag for job in back]))

    def tick(self, now: float) -> float | None:
        return None

    def interrupt(self, tag: str, how: Literal["soft", "hard"] | signal.Signals) -> None:
        self.interrupted.append((tag, how))

    def start(self) -> None:
        """What was handed over starts to run."""
        self.started = [Running(job.tag, 1, self._world.now) for job in self.jobs]

    def finish(self) -> None:
        outcomes = [Outcome(job.tag, "success", "SUCCESS", 0.001) for job in self.jobs]
        self.jobs, self.started = [], []
        self._world.box.post(Finished(outcomes))


class World:
    """A loop among stand-ins; `play` runs it, one step of the test's before each turn, to a warm shutdown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, blocks: bool = False, heart: Heart | None = None) -> None:
        self.now = 100.0
        self.box = Inbox()
        self.pool = FakePool(self, blocks=blocks)
        self.orders: list[Any] = []
        self.allowed: list[int] = []
        self.waits: list[float | None] = []
        self.receives = True
        self.window = Window(self.pool.size, None)
        self._steps: list[Callable[[], object]] = []
        emitted: Any = self
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.away = False
        self.bulletin = Bulletin(emitted, heart or Heart(None), tasks=False)
        limiter = _core.RateLimiter()
        lifecycle = Lifecycle()
        lifecycle.started()
        monkeypatch.setattr(module, "_now", lambda: Moment(1_800_000_000.0 + self.now, self.now))
        world: Any = self
        self.loop = module.Loop(
            Celery(broker="memory://", set_as_current=False),
            hostname="w1@h",
            dispatcher=Dispatcher(POLICIES, limiter, Caps()),
            limiter=limiter,
            window=self.window,
            lifecycle=lifecycle,
            pool=world.pool,
            watch=world,
            box=self.box,
            completer=world,
            receiver=world,
            endings=Endings("w1@h", POLICIES),
            bulletin=self.bulletin,
            counts=Counts(),
            state=lambda loop: world,
        )

    def play(self, *steps: Callable[[], object]) -> int:
        self._steps = [*steps, self.post(Signalled(signal.SIGTERM)), *[self.pool.finish] * 2]
        try:
            return self.loop.run()
        finally:
            self.box.close()

    # steps

    def post(self, event: Event) -> Callable[[], object]:
        return lambda: self.box.post(event)

    def bring(self, *deliveries: Delivery) -> Callable[[], object]:
        return self.post(Delivered(deliveries, (), len(deliveries)))

    def let_pass(self, seconds: float) -> Callable[[], object]:
        def step() -> None:
            self.now += seconds

        return step

    def lose(self, lost: Lost) -> Callable[[], None]:
        """The process of what runs dies."""

        def step() -> None:
            self.pool.jobs, self.pool.started = [], []
            self.box.post(lost)

        return step

    # in place of watch, completer, receiver and emitter

    def emit(self, type: str, fields: dict[str, Any], **_: Any) -> None:
        self.told.append((type, fields))

    def __call__(self, descriptor: int, readable: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def wait(self, timeout: float | None) -> None:
        assert self._steps, "the loop did not end"
        self.waits.append(timeout)
        self._steps.pop(0)()

    def order(self, *orders: Any) -> None:
        self.orders += orders

    def allow(self, limit: int, *, handled: int) -> None:
        self.allowed.append(limit)

    def retire(self) -> None:
        self.receives = False

    def ordered(self, kind: type[Any]) -> list[Any]:
        return [order for order in self.orders if isinstance(order, kind)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_what_cannot_start_within_a_tenth_of_a_second_goes_back_for_other_workers(world: World) -> None:
    world.window.observe([0.0001] * 10)
    seen: list[object] = []

    world.play(
        world.bring(delivery(tag="a.1.1"), delivery(tag="a.1.2")),
        world.pool.start,
        world.let_pass(0.09),
        lambda: seen.append(list(world.ordered(GiveBack))),
        world.let_pass(0.02),
        lambda: seen.append(list(world.ordered(GiveBack))),
        lambda: seen.append(world.window.size),
    )

    assert seen == [[], [GiveBack(["a.1.2"])], 1]


def test_a_short_job_is_never_put_on_record_as_begun_and_a_lasting_one_once(world: World) -> None:
    world.play(
        world.bring(delivery("proj.late", tag="a.1.1")),
        world.pool.start,
        world.let_pass(0.004),
        world.pool.finish,
        world.bring(delivery("proj.late", tag="a.1.2")),
        world.pool.start,
        world.let_pass(0.006),
        world.let_pass(0.006),
        world.pool.finish,
    )

    assert world.ordered(Begin) == [Begin(["a.1.2"], True)]


def test_a_pool_that_blocks_has_its_jobs_on_record_before_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, blocks=True)

    world.play(world.bring(delivery(tag="a.1.1")))

    assert world.ordered(Begin) == [Begin(["a.1.1"], False)]


def test_nothing_is_told_of_tasks_while_nobody_asks(world: World) -> None:
    world.play(world.bring(delivery(tag="a.1.1")), world.pool.start, world.pool.finish)

    assert world.told == []


def test_monitors_hear_of_a_short_job_from_its_arrival_to_its_end(world: World) -> None:
    world.bulletin.tasks = True

    world.play(world.bring(delivery(tag="a.1.1")), world.pool.start, world.pool.finish)

    assert [told for told, _ in world.told] == ["task-received", "task-started", "task-succeeded"]


def test_monitors_hear_that_a_lasting_job_has_started_before_it_ends(world: World) -> None:
    world.bulletin.tasks = True
    heard: list[list[str]] = []

    world.play(
        world.bring(delivery(tag="a.1.1")),
        world.pool.start,
        world.let_pass(0.006),
        lambda: heard.append([told for told, _ in world.told]),
        world.pool.finish,
    )

    assert heard == [["task-received", "task-started"]]
    assert [told for told, _ in world.told] == ["task-received", "task-started", "task-succeeded"]


def test_nothing_is_told_of_tasks_that_want_no_events(world: World) -> None:
    world.bulletin.tasks = True

    world.play(world.bring(delivery("proj.quiet", tag="a.1.1")), world.pool.start, world.pool.finish)

    assert world.told == []


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (Lost("a.1.1", 7, "signal 9 (SIGKILL)", "hard"), ("task-failed", "TimeLimitExceeded(5.0)")),
        (
            Lost("a.1.1", 7, "exit code 3", None),
            ("task-failed", "WorkerLostError('the process 7 that ran it died (exit code 3)')"),
        ),
    ],
)
def test_monitors_hear_once_of_a_run_whose_process_died(world: World, lost: Lost, told: tuple[str, str]) -> None:
    world.bulletin.tasks = True

    world.play(world.bring(delivery("proj.hard", tag="a.1.1")), world.pool.start, world.lose(lost))

    (*_, (started, _), (kind, fields)) = world.told
    assert (started, kind, fields["exception"]) == ("task-started", *told)


def test_a_heartbeat_comes_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, heart=Heart(2.0))
    beats: list[object] = []

    world.play(
        world.let_pass(1.9),
        lambda: beats.append([told for told, _ in world.told]),
        world.let_pass(0.2),
        world.let_pass(7),
        lambda: beats.append([told for told, _ in world.told]),
    )

    assert beats == [["worker-online"], ["worker-online", "worker-heartbeat", "worker-heartbeat"]]
    assert world.told[-1][0] == "worker-offline"


def test_no_heartbeat_is_sent_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, heart=Heart(2.0))
    world.away = True

    world.play(world.let_pass(2.1), world.let_pass(2.1))

    assert [told for told, _ in world.told] == ["worker-online", "worker-offline"]


def test_a_heartbeat_says_how_busy_the_worker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, heart=Heart(2.0))

    world.play(
        world.bring(delivery(tag="a.1.1")),
        world.pool.start,
        world.pool.finish,
        world.bring(delivery(tag="a.1.2")),
        world.pool.start,
        world.let_pass(2.1),
    )

    beat = dict(world.told)["worker-heartbeat"]
    assert (beat["active"], beat["processed"], beat["freq"], beat["sw_ident"]) == (1, 2, 2.0, "celery-rs")
    assert len(beat["loadavg"]) == 3


def test_each_heartbeat_is_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, heart=Heart(2.0))
    heard: list[object] = []

    def hear(sender: object, **_: Any) -> None:
        heard.append(sender)

    signals.heartbeat_sent.connect(hear)
    try:
        world.play(world.let_pass(2.1))
    finally:
        signals.heartbeat_sent.disconnect(hear)

    assert heard == [world.bulletin] * 3  # online, once more, offline


def test_a_warm_shutdown_recalls_what_the_pool_has_not_started_and_receives_no_more(world: World) -> None:
    exit_code = world.play(world.bring(delivery(tag="a.1.1"), delivery(tag="a.1.2")))

    assert (exit_code, world.receives) == (0, False)
    assert sorted(tag for order in world.ordered(GiveBack) for tag in order.tags) == ["a.1.1", "a.1.2"]


def test_a_task_that_starts_while_it_is_terminated_is_ended_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def revoke() -> None:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(world.pool, "recall", lambda tags: world.pool.start())
            world.loop.revoke(lambda entry: True, signal.SIGKILL)

    world.play(world.bring(delivery(tag="a.1.1")), revoke, world.pool.finish)

    assert world.pool.interrupted == [("a.1.1", signal.SIGKILL)]


def test_what_was_lost_is_not_started(world: World) -> None:
    world.play(
        world.bring(delivery(tag="a.1.1"), delivery(tag="a.1.2")),
        world.pool.start,
        world.post(Delivered((), ["a.1.2"], 1)),
        world.pool.finish,
        world.pool.start,
    )

    assert world.loop.counts.total == {"proj.add": 1}


def test_a_rate_that_is_lifted_frees_what_waits_for_it(world: World) -> None:
    world.loop.set_rate("proj.add", "1/h")

    world.play(
        world.bring(delivery(), delivery()),
        world.pool.finish,
        lambda: world.loop.set_rate("proj.add", None),
        world.let_pass(0.001),
        world.pool.finish,
    )

    assert world.loop.counts.total == {"proj.add": 2}


@pytest.mark.parametrize(
    "event",
    [Delivered([delivery("proj.gone", tag="a.1.1")], (), 1), Orphaned([delivery(tag="a.1.1")])],
    ids=["a dead letter", "an orphan"],
)
def test_what_ends_without_a_run_counts_as_in_hand_until_it_is_settled(world: World, event: Event) -> None:
    seen: list[int] = []

    world.play(
        world.post(event),
        lambda: seen.append(world.loop.dispatcher.in_hand),
        world.post(Settled(["a.1.1"], ())),
        lambda: seen.append(world.loop.dispatcher.in_hand),
    )

    assert seen == [1, 0]


def test_work_of_a_dead_worker_that_is_not_run_again_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.play(world.post(Orphaned([delivery(tag="a.1.1")])))

    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert line.startswith("Task proj.add[")
    assert "] is not run again: the worker that ran it died; it had acknowledged the message" in line


def test_dead_letters_take_no_time_and_widen_the_window(world: World) -> None:
    before = world.window.size

    world.play(world.bring(*(delivery("proj.gone", tag=f"a.1.{number}") for number in range(4))))

    assert world.window.size > before


def test_a_message_that_is_sent_back_again_waits_a_little(world: World) -> None:
    def send_back() -> None:
        outcomes = [Outcome(job.tag, "requeue", "REJECTED", 0.001) for job in world.pool.jobs]
        world.pool.jobs, world.pool.started = [], []
        world.box.post(Finished(outcomes))

    world.play(
        world.bring(delivery("proj.late", tag="a.1.1")),
        world.pool.start,
        send_back,
        world.bring(delivery("proj.late", tag="a.1.2")._replace(redelivered=True)),
        world.pool.start,
        send_back,
    )

    assert world.ordered(GiveBack) == [GiveBack(["a.1.1"], front=False)]
    assert world.ordered(Defer) == [Defer({"a.1.2": 1_800_000_000.0 + world.now + 0.5})]


def test_a_retry_of_what_was_revoked_meanwhile_is_its_end_at_once(world: World) -> None:
    def ask_again() -> None:
        outcomes = [Outcome(job.tag, "retry", "RETRY", 0.001) for job in world.pool.jobs]
        world.loop.dispatcher.revokes.add([job.envelope.id for job in world.pool.jobs], 1_800_000_000.0 + world.now)
        world.pool.jobs, world.pool.started = [], []
        world.box.post(Finished(outcomes))

    world.play(world.bring(delivery(tag="a.1.1")), world.pool.start, ask_again)

    (completion,) = world.ordered(Completion)
    assert completion.record.state == "REVOKED"
    assert completion.followups == ()


def test_a_fact_that_was_dropped_revokes_no_more(world: World) -> None:
    facts = [Fact(REVOKED, "a", b"{}", None), Fact(REVOKED, "b", b"{}", None), Fact(REVOKED, "a", None, None)]

    world.play(world.post(FactsLearnt(facts)))

    assert world.loop.dispatcher.revokes.ids(1_800_000_000.0) == ["b"]


@pytest.mark.parametrize("signum", [None, signal.SIGKILL])
def test_a_task_that_was_told_to_end_is_said_to_be_revoked_with_its_signal(
    world: World, signum: signal.Signals | None
) -> None:
    told: list[tuple[str, object]] = []

    def revoked(request: Any, terminated: bool, signum: int, **_: Any) -> None:
        assert terminated
        told.append((request.id, signum))

    def die() -> None:
        (job,) = world.pool.jobs
        if signum is not None:
            world.loop.revoke(lambda entry: True, signum)
        world.pool.jobs, world.pool.started = [], []
        world.box.post(Lost(job.tag, 1, "SIGKILL", None if signum is None else "terminate"))

    signals.task_revoked.connect(revoked, weak=False)
    try:
        world.play(world.bring(delivery(tag="a.1.1")), world.pool.start, die)
    finally:
        signals.task_revoked.disconnect(revoked)

    assert [number for _, number in told] == ([] if signum is None else [signum])


def test_a_request_moves_the_clock_on(world: World) -> None:
    world.play(world.post(Asked(ControlRequest("no such command", {}, clock=41))))

    assert world.loop.app.clock.value == 42


def test_a_pool_that_cannot_be_that_large_does_not_say_that_it_scales(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(size: int) -> None:
        raise ValueError(size)

    caplog.set_level("INFO")
    monkeypatch.setattr(world.pool, "resize", refuse)

    with pytest.raises(ValueError, match="500"):
        world.loop.resize(500)

    assert caplog.messages == []
    world.box.close()


def test_a_pool_that_scales_grows_to_what_is_in_hand_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.loop.autoscale = Autoscale(most=3, least=1, keepalive=30.0)

    world.play(
        world.bring(*[delivery() for _ in range(5)]),
        world.pool.start,
        world.pool.finish,
        world.let_pass(0.01),
        world.pool.finish,
        world.let_pass(31.0),
        lambda: world.box.post(Settled((), ())),
    )

    assert [line for line in caplog.messages if "Scaling" in line] == [
        "Scaling up 2 processes.",
        "Scaling down 2 processes.",
    ]


def test_the_bounds_of_scaling_can_be_changed_within_what_the_pool_can_have(world: World) -> None:
    with pytest.raises(ValueError, match="Autoscale not enabled"):
        world.loop.set_bounds(3, 1)
    world.loop.autoscale = Autoscale(most=3, least=1)

    assert world.loop.set_bounds(8, None) == (8, 1)
    assert world.loop.set_bounds(None, 4) == (8, 4)
    assert (world.pool.size, world.window.slots) == (4, 8)
    with pytest.raises(ValueError, match="expected 0 <= min <= max <= 9, got max=10 min=4"):
        world.loop.set_bounds(10, None)


def test_a_hard_limit_is_enforced_once(world: World) -> None:
    world.play(
        world.bring(delivery("proj.hard", tag="a.1.1")),
        world.pool.start,
        world.let_pass(5.1),
        world.let_pass(1.0),
        world.pool.finish,
    )

    assert world.pool.interrupted == [("a.1.1", "hard")]


def test_a_worker_that_stops_while_messages_gather_waits_for_its_tasks_asleep(world: World) -> None:
    world.play(
        world.post(Delivered((delivery(), delivery()), (), 4)),
        world.pool.start,
        world.post(Signalled(signal.SIGTERM)),
        world.let_pass(1.0),
    )

    assert 0.0 not in world.waits
