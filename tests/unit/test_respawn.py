"""When a dead child is replaced, and when the pool gives up."""

from celery_rs.worker.pools.respawn import FORGET_S, Respawn


def test_a_child_that_worked_is_replaced_at_once() -> None:
    respawn = Respawn(patience=3)

    assert [respawn.delay(stillborn=False, now=0.0) for _ in range(10)] == [0.0] * 10


def test_stillborn_children_are_replaced_ever_later_until_patience_ends() -> None:
    respawn = Respawn(patience=5)

    *delays, last = [respawn.delay(stillborn=True, now=float(n)) for n in range(5)]

    assert delays == [0.0, 0.05, 0.1, 0.2]
    assert last is None


def test_a_finished_task_restores_patience() -> None:
    respawn = Respawn(patience=2)

    respawn.delay(stillborn=True, now=0.0)
    respawn.worked()

    assert respawn.delay(stillborn=True, now=1.0) == 0.0


def test_deaths_far_apart_do_not_add_up() -> None:
    respawn = Respawn(patience=2)

    delays = [respawn.delay(stillborn=True, now=n * (FORGET_S + 1)) for n in range(10)]

    assert delays == [0.0] * 10
