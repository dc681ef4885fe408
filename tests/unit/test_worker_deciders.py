"""The small pure parts of the worker: window, parking, lifecycle, deadlines, settlement, runtimes, backoff."""

import signal

import pytest

from celery_rs.transports.backoff import Backoff
from celery_rs.worker.deadlines import Deadlines
from celery_rs.worker.gathering import AWAITED_S, UNAWAITED_S
from celery_rs.worker.lifecycle import Lifecycle, Phase
from celery_rs.worker.parking import Parking
from celery_rs.worker.policy import Policy, policy_of
from celery_rs.worker.pools import Running
from celery_rs.worker.runtimes import BATCH_MOST, UNKNOWN_MOST, Runtimes
from celery_rs.worker.settlement import of_end, of_loss
from celery_rs.worker.window import MOST, MOST_ASKED, MOST_PUSHED, Window
from tests.apps import make_app


def test_a_new_window_is_the_free_slots() -> None:
    window = Window(slots=4, multiplier=None)

    assert [window.open(in_hand, now=0.0) for in_hand in (0, 3, 4)] == [4, 1, 0]


def test_the_window_doubles_while_tasks_are_short() -> None:
    window = Window(slots=2, multiplier=None)
    sizes = []
    for _ in range(4):
        window.observe([0.001] * 10)
        sizes.append(window.size)

    assert sizes == [4, 8, 16, 32]


def test_the_window_never_exceeds_a_tenth_of_a_second_of_work() -> None:
    window = Window(slots=2, multiplier=None)
    for _ in range(20):
        window.observe([0.002] * 10)

    assert window.size == 100


def test_the_window_falls_back_to_the_slots_when_tasks_are_long() -> None:
    window = Window(slots=2, multiplier=None)
    window.observe([0.001] * 10)

    window.observe([1.0] * 128)

    assert window.size == 2


def test_an_explicit_multiplier_has_its_bounds() -> None:
    assert Window(slots=4, multiplier=10**30).open(0, now=0.0) == MOST_ASKED


def test_an_explicit_multiplier_is_obeyed() -> None:
    window = Window(slots=4, multiplier=3)
    window.observe([0.0001] * 100)

    assert window.size == 12


@pytest.mark.parametrize(("pushed", "most"), [(False, MOST), (True, MOST_PUSHED)])
def test_more_is_in_hand_where_a_broker_pushes(pushed: bool, most: int) -> None:
    window = Window(slots=1000, multiplier=None, pushed=pushed)

    for _ in range(10):
        window.observe([0.0001])

    assert window.size == most


def test_a_large_window_waits_for_a_worthwhile_batch() -> None:
    window = Window(slots=25, multiplier=4)

    assert [window.open(in_hand, now=0.0) for in_hand in (99, 76, 75)] == [0, 0, 25]


def test_a_slot_that_has_nothing_to_do_is_worth_a_fetch_of_its_own() -> None:
    window = Window(slots=8, multiplier=None)

    assert [window.open(in_hand, now=0.0) for in_hand in (8, 7, 6)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("came", "in_hand", "opens"),
    [
        pytest.param(1, 1, 0, id="a lone one is being worked on"),
        pytest.param(1, 0, 4, id="a lone one is done"),
        pytest.param(2, 0, 0, id="several came: more will follow"),
        pytest.param(4, 2, 2, id="as many as were asked for: there are more"),
        pytest.param(0, 1, 3, id="nothing came"),
    ],
)
def test_what_comes_one_by_one_is_let_gather(came: int, in_hand: int, opens: int) -> None:
    window = Window(slots=4, multiplier=None)

    window.gathering.received(came, asked=4, now=10.0)

    assert window.open(in_hand, now=10.0) == opens
    assert window.opens_at == (None if opens else 10.0 + AWAITED_S)


@pytest.mark.parametrize(
    ("came", "awaited", "pushed", "seconds"),
    [
        pytest.param(2, True, False, AWAITED_S, id="somebody waits"),
        pytest.param(2, False, False, UNAWAITED_S, id="nobody waits"),
        pytest.param(1, False, False, AWAITED_S, id="a lone one"),
        pytest.param(2, False, True, AWAITED_S, id="there may be more"),
    ],
)
def test_several_gather_longer_where_nobody_waits(came: int, awaited: bool, pushed: bool, seconds: float) -> None:
    window = Window(slots=4, multiplier=None, pushed=pushed)
    window.gathering.awaited = awaited
    window.gathering.received(came, asked=4, now=10.0)

    assert window.open(1, now=10.0) == 0
    assert window.opens_at == 10.0 + seconds
    assert window.open(2, now=10.0 + seconds) == 2
    assert window.opens_at is None


def test_parked_jobs_come_out_in_order_of_time_then_arrival() -> None:
    parking: Parking[str] = Parking()
    for job, until in [("late", 5.0), ("first", 1.0), ("second", 1.0)]:
        parking.hold(job, until=until)

    assert (parking.due(1.0), parking.soonest()) == (["first", "second"], 5.0)


def test_rescaling_moves_only_its_lane() -> None:
    parking: Parking[str] = Parking()
    parking.hold("limited", until=110.0, lane="add")
    parking.hold("eta", until=110.0)

    parking.rescale("add", 0.5, now=100.0)

    assert (parking.due(105.0), len(parking)) == (["limited"], 1)


@pytest.mark.parametrize(
    ("signals", "phase", "code"),
    [
        ([signal.SIGTERM], Phase.DRAINING, 0),
        ([signal.SIGTERM, signal.SIGTERM], Phase.DRAINING, 0),
        ([signal.SIGINT], Phase.DRAINING, 1),
        ([signal.SIGINT, signal.SIGINT], Phase.STOPPING, 1),
        ([signal.SIGTERM, signal.SIGQUIT], Phase.STOPPING, 1),
        ([signal.SIGQUIT, signal.SIGTERM], Phase.STOPPING, 1),
    ],
)
def test_signals_lead_to_phases(signals: list[int], phase: Phase, code: int) -> None:
    lifecycle = Lifecycle()
    lifecycle.started()
    for number in signals:
        lifecycle.signalled(number)

    assert (lifecycle.phase, lifecycle.exit_code) == (phase, code)


def test_being_idle_stops_only_a_worker_that_was_asked_to() -> None:
    lifecycle = Lifecycle()
    lifecycle.started()
    lifecycle.idle()
    assert lifecycle.phase == Phase.RUNNING

    lifecycle.asked_to_stop()
    lifecycle.idle()
    assert lifecycle.phase == Phase.STOPPED


def test_each_limit_is_reported_once_and_soft_comes_first() -> None:
    deadlines = Deadlines()
    deadlines.watch("a", soft=1.0, hard=2.0)
    running = [Running("a", 1, began_at=10.0)]

    reports = [
        [(over.how, over.limit) for over in deadlines.overrun(running, now)] for now in (10.9, 11.0, 11.5, 12.0, 13.0)
    ]

    assert reports == [[], [("soft", 1.0)], [], [("hard", 2.0)], []]


def test_a_limit_runs_from_the_start_of_its_job_not_from_its_submission() -> None:
    deadlines = Deadlines()
    deadlines.watch("a", soft=None, hard=2.0)

    assert deadlines.soonest([]) is None
    assert deadlines.soonest([Running("a", 1, began_at=50.0)]) == 52.0


EARLY = Policy()
LATE = Policy(late=True)


@pytest.mark.parametrize(
    ("end", "policy", "settling"),
    [
        ("success", EARLY, "done"),
        ("success", LATE, "done"),
        ("failure", LATE, "done"),
        ("failure", LATE._replace(acks_on_failure=False), "rejected"),
        ("failure", EARLY._replace(acks_on_failure=False), "done"),
        ("reject", EARLY, "bury"),
        ("reject", LATE, "bury"),
        ("requeue", EARLY, "done"),
        ("requeue", LATE, "back"),
        ("retry", LATE, "done"),
        ("ignore", LATE, "done"),
    ],
)
def test_how_an_end_settles_its_message(end: str, policy: Policy, settling: str) -> None:
    assert of_end(end, policy) == settling  # type: ignore[arg-type]  # a literal from the table


@pytest.mark.parametrize(
    ("by_us", "policy", "settling"),
    [
        (None, EARLY, "done"),
        (None, LATE, "done"),
        (None, LATE._replace(reject_on_worker_lost=True), "crashed"),
        ("hard", EARLY, "done"),
        ("hard", LATE, "done"),
        ("hard", LATE._replace(acks_on_timeout=False), "crashed"),
        ("terminate", LATE, "done"),
    ],
)
def test_how_the_death_of_a_child_settles_its_message(by_us: str | None, policy: Policy, settling: str) -> None:
    assert of_loss(by_us, policy) == settling  # type: ignore[arg-type]  # a literal from the table


RETRIED = Policy(retry_on_worker_lost=True, max_retries=2)


@pytest.mark.parametrize(
    ("by_us", "policy", "retries", "settling"),
    [
        (None, RETRIED, 1, "retry"),
        (None, RETRIED, 2, "done"),
        (None, RETRIED._replace(max_retries=None), 99, "retry"),
        (None, RETRIED._replace(late=True, reject_on_worker_lost=True), 0, "retry"),
        (None, RETRIED._replace(late=True, reject_on_worker_lost=True), 2, "done"),
        ("hard", RETRIED, 0, "done"),
        ("terminate", RETRIED, 0, "done"),
    ],
)
def test_a_lost_run_is_retried_as_often_as_its_task_allows(
    by_us: str | None, policy: Policy, retries: int, settling: str
) -> None:
    assert of_loss(by_us, policy, retries) == settling  # type: ignore[arg-type]  # a literal from the table


def test_an_unknown_task_goes_one_at_a_time() -> None:
    assert Runtimes().batch("proj.add") == 1


@pytest.mark.parametrize(("runtime", "batch"), [(0.00001, BATCH_MOST), (0.001, 5), (0.004, 1), (60.0, 1)])
def test_a_child_gets_about_five_milliseconds_of_work(runtime: float, batch: int) -> None:
    runtimes = Runtimes()
    for _ in range(20):
        runtimes.observe([("proj.add", runtime)])

    assert runtimes.batch("proj.add") == batch


def test_an_unknown_task_is_taken_to_be_like_others_when_they_first_ran() -> None:
    short, long = Runtimes(), Runtimes()
    short.observe((f"proj.short{number}", 0.001) for number in range(20))
    long.observe((f"proj.long{number}", 0.1) for number in range(20))
    long.observe([("proj.long0", 0.001)] * 200)

    assert short.batch("proj.unknown") == 5
    assert long.batch("proj.unknown") == 1


def test_unknown_tasks_go_a_few_at_a_time_however_short_others_were() -> None:
    runtimes = Runtimes()
    runtimes.observe((f"proj.noop{number}", 0.00001) for number in range(20))

    assert runtimes.batch("proj.unknown") == UNKNOWN_MOST


def test_others_may_join_a_batch_if_they_are_as_short() -> None:
    runtimes = Runtimes()
    runtimes.observe([("proj.add", 0.001)] * 20 + [("proj.mul", 0.0005)] * 20 + [("proj.long", 0.1)] * 20)
    may_join = runtimes.company(runtimes.batch("proj.add"))

    assert [may_join("proj.mul") for _ in range(20)] == [True] * 20
    assert not may_join("proj.long")


def test_slower_ones_prolong_a_batch_by_no_more_than_it_takes() -> None:
    runtimes = Runtimes()
    runtimes.observe([("proj.add", 0.0001)] * 20 + [("proj.slower", 0.0025)] * 20)
    may_join = runtimes.company(runtimes.batch("proj.add"))

    assert [may_join("proj.slower") for _ in range(4)] == [True, True, False, False]


def test_a_task_that_goes_alone_has_no_company() -> None:
    runtimes = Runtimes()
    runtimes.observe([("proj.add", 0.001)] * 20)

    assert not runtimes.company(1)("proj.add")


def test_a_task_that_becomes_short_gets_larger_batches_again() -> None:
    runtimes = Runtimes()
    for runtime in [0.001] * 64 + [0.0001] * 96:
        runtimes.observe([("proj.add", runtime)])
        runtimes.batch("proj.add")

    assert runtimes.batch("proj.add") == 50


def test_one_long_run_among_short_ones_does_not_end_the_batching() -> None:
    runtimes = Runtimes()
    for runtime in [0.001] * 30 + [60.0]:
        runtimes.observe([("proj.add", runtime)])

    assert runtimes.batch("proj.add") == 5


def test_backoff_doubles_up_to_its_limit_and_starts_over() -> None:
    backoff = Backoff(0.1, 0.5, jitter=lambda: 0.0)
    delays = [backoff.next() for _ in range(4)]
    backoff.reset()

    assert (delays, backoff.next()) == ([0.1, 0.2, 0.4, 0.5], 0.1)


def test_a_task_says_itself_that_it_is_retried_and_else_the_settings_do() -> None:
    app = make_app(task_retry_on_worker_lost=True)

    @app.task(max_retries=7, default_retry_delay=5)
    def by_the_settings() -> None: ...

    @app.task(retry_on_worker_lost=False)
    def by_itself() -> None: ...

    policies = [policy_of(app.tasks[task.name], app.conf) for task in (by_the_settings, by_itself)]

    assert [(policy.retry_on_worker_lost, policy.max_retries, policy.retry_delay) for policy in policies] == [
        (True, 7, 5),
        (False, 3, 180),
    ]
