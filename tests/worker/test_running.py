"""What becomes of a task, by every way it can end: a real worker, real children, the embedded broker."""

import pytest

from celery_rs.errors import (
    MaxRetriesExceededError,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    TimeLimitExceeded,
    WorkerLostError,
)
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

pools = pytest.mark.parametrize("pool", ["prefork", "solo"])


@pools
def test_a_result_comes_back(project: Project, pool: str) -> None:
    with project.worker("-c", "2", "-P", pool):
        assert project.proj.add.delay(2, 3).get(timeout=DEADLINE_S) == 5


@pools
def test_a_failure_comes_back_with_its_traceback(project: Project, pool: str) -> None:
    with project.worker("-c", "2", "-P", pool):
        result = project.proj.fails.delay()

        with pytest.raises(ValueError, match="boom") as caught:
            result.get(timeout=DEADLINE_S)

    assert caught.value.args == ("boom", 1)
    assert 'raise ValueError("boom", 1)' in result.traceback
    assert result.state == "FAILURE"


@pools
def test_a_retry_runs_again_until_it_succeeds(project: Project, pool: str) -> None:
    with project.worker("-c", "2", "-P", pool):
        assert project.proj.retried.delay(2).get(timeout=DEADLINE_S) == 2


def test_retries_end_with_the_maximum(project: Project) -> None:
    with project.worker("-c", "1"), pytest.raises(MaxRetriesExceededError):
        project.proj.retried.delay(9).get(timeout=DEADLINE_S)


def test_autoretry_repeats_and_then_fails_with_the_cause(project: Project) -> None:
    with project.worker("-c", "1"), pytest.raises(ConnectionError, match="no luck"):
        project.proj.unlucky.delay().get(timeout=DEADLINE_S)

    assert len(project.lines("unlucky")) == 2


@pools
def test_a_countdown_waits(project: Project, pool: str) -> None:
    with project.worker("-c", "1", "-P", pool):
        early = project.proj.stamped.delay(0)
        late = project.proj.stamped.apply_async((0,), countdown=1)

        assert late.get(timeout=DEADLINE_S)[0] - early.get(timeout=DEADLINE_S)[0] > 0.9


def test_an_eta_is_kept_in_the_store_and_survives_every_worker(project: Project) -> None:
    result = project.proj.add.apply_async((1, 1), countdown=2)

    with project.worker("-c", "1", name="first") as worker:
        worker.kill()
        worker.wait()
    with project.worker("-c", "1", name="second"):
        assert result.get(timeout=DEADLINE_S) == 2


def test_an_expired_task_is_revoked(project: Project) -> None:
    result = project.proj.noted.apply_async(("expired",), expires=-1)

    with project.worker("-c", "1"), pytest.raises(TaskRevokedError, match="expired"):
        result.get(timeout=DEADLINE_S)

    assert project.lines("expired") == []


def test_a_rate_limit_spaces_the_starts(project: Project) -> None:
    with project.worker("-c", "2"):
        results = [project.proj.limited.delay() for _ in range(6)]
        times = sorted(result.get(timeout=DEADLINE_S) for result in results)

    # 5 a second: 0.2 s apart; 6 of them take a second
    assert times[-1] - times[0] > 0.95


def test_a_rate_limit_set_at_runtime_holds(project: Project) -> None:
    with project.worker("-c", "1"):
        (reply,) = project.app.control.rate_limit("tests.worker.proj.stamped", "2/s", reply=True)
        results = [project.proj.stamped.delay(0) for _ in range(3)]
        starts = [result.get(timeout=DEADLINE_S)[0] for result in results]

    assert list(reply.values()) == [{"ok": "new rate limit set successfully"}]
    assert starts[2] - starts[0] > 0.9


def test_a_soft_limit_raises_inside_the_task(project: Project) -> None:
    with project.worker("-c", "1"):
        with pytest.raises(SoftTimeLimitExceeded):
            project.proj.softly.delay().get(timeout=DEADLINE_S)
        assert project.proj.add.delay(1, 1).get(timeout=DEADLINE_S) == 2

    assert len(project.lines("cleaned-up")) == 1


def test_a_hard_limit_kills_the_task_and_nothing_else(project: Project) -> None:
    with project.worker("-c", "2"):
        neighbour = project.proj.hold.delay("neighbour")
        project.saw("neighbour.started")

        with pytest.raises(TimeLimitExceeded):
            project.proj.hardly.delay().get(timeout=DEADLINE_S)

        project.let_go("neighbour")
        assert neighbour.get(timeout=DEADLINE_S) == "neighbour"


def test_the_limits_of_a_call_win(project: Project) -> None:
    with project.worker("-c", "1"), pytest.raises(TimeLimitExceeded):
        project.proj.stamped.apply_async((30,), time_limit=0.2).get(timeout=DEADLINE_S)


def test_the_limits_of_the_command_line_hold_for_tasks_without_their_own(project: Project) -> None:
    with project.worker("-c", "1", "--time-limit", "0.2"), pytest.raises(TimeLimitExceeded):
        project.proj.stamped.delay(30).get(timeout=DEADLINE_S)


def test_an_ignored_result_is_not_stored(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.silent.delay()
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)

    assert project.app.backend.fetch([result.id]) == {}


def test_started_is_told_when_it_is_tracked(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.tracked.delay("t")
        eventually(lambda: result.state == "STARTED")
        project.let_go("t")

        assert result.get(timeout=DEADLINE_S) == "t"


def test_a_custom_state_is_seen_while_the_task_runs(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.progressing.delay("p")
        eventually(lambda: result.state == "PROGRESS")

        assert result.info == {"done": 50}

        project.let_go("p")
        assert result.get(timeout=DEADLINE_S) == "p"


def test_ignore_stores_nothing(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.ignored.delay()
        project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)

    assert result.state == "PENDING"


def test_a_rejected_task_becomes_a_dead_letter(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.rejected.delay()
        eventually(lambda: project.app.transport.dead.page().letters)

    (letter,) = project.app.transport.dead.page().letters
    assert (letter.task_id, letter.reason) == (result.id, "rejected")


def test_a_task_rejected_with_requeue_runs_again(project: Project) -> None:
    with project.worker("-c", "1"):
        assert project.proj.rejected_once.delay("again").get(timeout=DEADLINE_S) == "again"

    assert len(project.lines("again")) == 2


def test_system_exit_in_a_task_is_its_failure_and_the_child_lives(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.exits.delay()
        eventually(lambda: result.ready())

        assert (result.state, project.proj.add.delay(1, 1).get(timeout=DEADLINE_S)) == ("FAILURE", 2)


def test_the_death_of_a_child_is_a_failure_under_early_acknowledgement(project: Project) -> None:
    with project.worker("-c", "1"), pytest.raises(WorkerLostError, match="SIGKILL"):
        project.proj.dies.delay().get(timeout=DEADLINE_S)


def test_a_task_that_keeps_killing_its_child_ends_as_a_dead_letter(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.dies_late.delay()
        with pytest.raises(WorkerLostError, match="died 3 times"):
            result.get(timeout=DEADLINE_S)

    (letter,) = project.app.transport.dead.page().letters
    assert (letter.task_id, letter.reason, letter.crashes) == (result.id, "crashes", 3)
    assert len(project.lines("dies-late")) == 3


def test_a_late_task_that_never_keeps_its_limit_ends_as_a_dead_letter(project: Project) -> None:
    with project.worker("-c", "1"):
        result = project.proj.hardly_late.delay()
        with pytest.raises(WorkerLostError, match="died 3 times"):
            result.get(timeout=DEADLINE_S)

    assert len(project.lines("hardly-late")) == 3


def test_no_short_task_waits_behind_a_long_one_of_the_same_name(project: Project) -> None:
    with project.worker("-c", "2"):
        warm_up = [project.proj.mostly_short.delay() for _ in range(200)]
        for result in warm_up:
            result.get(timeout=DEADLINE_S)
        long = project.proj.mostly_short.delay("long")
        short = project.proj.mostly_short.publish_many([()] * 500)

        for result in short:
            result.get(timeout=DEADLINE_S)
        project.let_go("long")
        assert long.get(timeout=DEADLINE_S) == "long"
