"""Results that are read one after the other come several at once."""

from collections.abc import Collection
from typing import Any

import pytest

from celery_rs import AsyncResult, Celery, errors
from celery_rs.results.succession import MOST_AHEAD, MOST_BYTES
from celery_rs.wire import TaskResult
from tests.apps import drain, make_app
from tests.deadlines import DEADLINE_S


class Trips:
    """For how many results a store was asked, each time."""

    def __init__(self, app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetched: list[int] = []
        fetch = app.backend.fetch

        def counted_fetch(ids: Collection[str]) -> dict[str, TaskResult]:
            self.fetched.append(len(ids))
            return fetch(ids)

        monkeypatch.setattr(app.backend, "fetch", counted_fetch)


@pytest.fixture
def app() -> Celery:
    return make_app()


@pytest.fixture
def trips(app: Celery, monkeypatch: pytest.MonkeyPatch) -> Trips:
    return Trips(app, monkeypatch)


def called(app: Celery, count: int, size: int = 1) -> list[AsyncResult[Any]]:
    @app.task
    def echo(number: int) -> list[int]:
        return [number] * size

    return [echo.delay(number) for number in range(count)]


def test_who_reads_in_order_gets_all_in_few_trips(app: Celery, trips: Trips) -> None:
    results = called(app, 1000)
    drain(app)

    assert [result.get(timeout=DEADLINE_S) for result in results] == [[number] for number in range(1000)]
    assert len(trips.fetched) < 20
    assert max(trips.fetched) == MOST_AHEAD + 1


def test_who_reads_one_reads_no_other(app: Celery, trips: Trips) -> None:
    results = called(app, 10)
    drain(app)

    results[4].get(timeout=DEADLINE_S)

    assert trips.fetched == [1]
    assert results[5]._told is None


def test_what_nobody_wants_any_more_is_not_read(app: Celery, trips: Trips) -> None:
    results = called(app, 100)
    drain(app)
    del results[1::2]

    assert len([result.get(timeout=DEADLINE_S) for result in results]) == 50
    assert max(trips.fetched) == 1


def test_what_is_not_ready_yet_is_asked_for_again(app: Celery) -> None:
    results = called(app, 4)
    with pytest.raises(errors.TimeoutError):
        results[0].get(timeout=0.0)
    results[0]._ahead = 3
    with pytest.raises(errors.TimeoutError):
        results[0].get(timeout=0.0)
    drain(app)

    assert [result.get(timeout=DEADLINE_S) for result in results] == [[0], [1], [2], [3]]


def test_large_records_are_not_read_far_ahead(app: Celery, trips: Trips) -> None:
    results = called(app, 40, size=MOST_BYTES // 8)
    drain(app)

    for result in results:
        result.get(timeout=DEADLINE_S)

    assert max(trips.fetched) <= 8


def test_a_failure_read_ahead_is_raised_by_its_own_handle(app: Celery) -> None:
    @app.task
    def invert(number: int) -> float:
        return 1 / number

    results = [invert.delay(number) for number in (1, 2, 0)]
    drain(app)

    assert [results[at].get(timeout=DEADLINE_S) for at in (0, 1)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        results[2].get(timeout=DEADLINE_S)


def test_a_forgotten_result_is_not_remembered_from_another_ones_trip(app: Celery) -> None:
    results = called(app, 3)
    drain(app)
    results[0].get(timeout=DEADLINE_S)
    results[1].get(timeout=DEADLINE_S)
    assert results[2]._told is not None

    results[2].forget()

    assert results[2].state == "PENDING"
