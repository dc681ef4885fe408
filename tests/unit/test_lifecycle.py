"""Which signal leads a worker where, and with what exit code."""

import signal

import pytest

from celery_rs.worker.lifecycle import Lifecycle, Phase, terminate_is_quit


def started(**options: float | bool) -> Lifecycle:
    lifecycle = Lifecycle(**options)  # type: ignore[arg-type]  # each test names its own
    lifecycle.started()
    return lifecycle


def test_a_soft_shutdown_comes_before_a_cold_one_while_tasks_run() -> None:
    lifecycle = started(soft_timeout=5.0)

    phases = [lifecycle.signalled(signal.SIGQUIT, busy=True, now=100.0)]
    for now in (104.9, 105.0):
        lifecycle.passed(now)
        phases.append(lifecycle.phase)

    assert (phases, lifecycle.exit_code) == ([Phase.SOFT, Phase.SOFT, Phase.STOPPING], 1)


def test_an_idle_worker_is_not_waited_for() -> None:
    assert started(soft_timeout=5.0).signalled(signal.SIGQUIT, busy=False, now=0.0) == Phase.STOPPING


def test_an_idle_worker_is_waited_for_where_that_is_asked() -> None:
    lifecycle = started(soft_timeout=5.0, soft_on_idle=True)

    lifecycle.signalled(signal.SIGQUIT, busy=False, now=100.0)
    lifecycle.idle(now=101.0)
    before = lifecycle.phase
    lifecycle.idle(now=105.0)

    assert (before, lifecycle.phase) == (Phase.SOFT, Phase.STOPPED)


def test_a_second_interrupt_begins_the_soft_shutdown_a_third_ends_it_a_fourth_abandons_everything() -> None:
    lifecycle = started(soft_timeout=5.0)

    phases = [lifecycle.signalled(signal.SIGINT, busy=True, now=0.0) for _ in range(4)]

    assert phases == [Phase.DRAINING, Phase.SOFT, Phase.STOPPING, Phase.STOPPED]
    assert (lifecycle.abandoned, lifecycle.exit_code) == (True, 1)


def test_a_repeated_quit_abandons_a_worker_that_is_stopping_and_terminate_does_not() -> None:
    lifecycle = started()
    lifecycle.signalled(signal.SIGQUIT)

    lifecycle.signalled(signal.SIGTERM)
    patient = lifecycle.abandoned
    lifecycle.signalled(signal.SIGQUIT)

    assert (patient, lifecycle.abandoned) == (False, True)


def test_terminate_may_stand_for_quit() -> None:
    assert started(terminate_is_quit=True).signalled(signal.SIGTERM) == Phase.STOPPING
    assert [terminate_is_quit(said) for said in ({}, {"REMAP_SIGTERM": "SIGQUIT"}, {"REMAP_SIGTERM": "x"})] == [
        False,
        True,
        False,
    ]


def test_hangup_drains_and_begins_again_unless_the_worker_was_stopping_or_is_stopped_meanwhile() -> None:
    lifecycle, late = started(), started()

    lifecycle.signalled(signal.SIGHUP)
    late.signalled(signal.SIGTERM)
    late.signalled(signal.SIGHUP)
    again = lifecycle.again
    lifecycle.signalled(signal.SIGQUIT)

    assert (again, lifecycle.again, late.again, late.exit_code) == (True, False, False, 0)


@pytest.mark.parametrize(
    ("number", "before", "manner"),
    [
        (signal.SIGTERM, Phase.RUNNING, "Warm"),
        (signal.SIGTERM, Phase.DRAINING, None),
        (signal.SIGINT, Phase.RUNNING, "Warm"),
        (signal.SIGINT, Phase.DRAINING, "Cold"),
        (signal.SIGQUIT, Phase.RUNNING, "Cold"),
        (signal.SIGQUIT, Phase.SOFT, "Cold"),
        (signal.SIGQUIT, Phase.STOPPING, None),
        (signal.SIGHUP, Phase.RUNNING, None),
    ],
)
def test_how_a_signal_asks_to_stop(number: int, before: Phase, manner: str | None) -> None:
    lifecycle = started()
    lifecycle.phase = before

    assert lifecycle.manner(number) == manner
