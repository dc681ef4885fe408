"""A quarter of a minute of chaos: see tests/chaos. Minutes of it run by `make chaos`."""

from pathlib import Path

import pytest

from tests.chaos.ledger import Journal, balance
from tests.chaos.on_rabbitmq import on_rabbitmq
from tests.chaos.on_redis import on_redis
from tests.chaos.run import Run, run
from tests.rabbitmq_server import has_rabbitmq


def test_nothing_is_lost_while_workers_and_children_are_killed(tmp_path: Path) -> None:
    ledger = run(Run(tmp_path, tasks=8_000, seconds=14.0, seed=7))

    print(ledger)
    assert not ledger.lost
    assert not ledger.unexplained, ledger
    assert ledger.queued == 0
    assert ledger.kills > 10


def test_nothing_is_lost_and_nothing_revoked_starts_while_workers_are_killed_and_meddled_with(tmp_path: Path) -> None:
    ledger = run(Run(tmp_path, tasks=3_000, seconds=15.0, seed=11, meddled=True))

    print(ledger)
    assert ledger.balanced, ledger
    assert ledger.queued == 0
    assert ledger.kills > 10
    assert ledger.revoked > 10


def test_nothing_is_lost_on_redis_while_workers_are_killed_stopped_and_lose_replies(tmp_path: Path) -> None:
    with on_redis(Run(tmp_path, tasks=3_000, seconds=15.0, seed=7)) as plan:
        ledger = run(plan)

    print(ledger)
    assert ledger.balanced, ledger
    assert ledger.queued == 0
    assert ledger.kills > 5


def test_nothing_is_lost_on_rabbitmq_while_workers_are_killed_and_stopped(tmp_path: Path) -> None:
    if not has_rabbitmq():
        pytest.skip("rabbitmq-server is not there: install RabbitMQ")
    with on_rabbitmq(Run(tmp_path, tasks=3_000, seconds=15.0, seed=7)) as plan:
        ledger = run(plan)

    print(ledger)
    assert ledger.balanced, ledger
    assert ledger.queued == 0
    assert ledger.kills > 5


def test_the_ledger_finds_what_is_lost() -> None:
    journal = Journal.read(["start a 1 1.0", "end a 1 2.0", "start b 1 3.0"])

    assert list(balance(["a", "b"], journal, {}).lost) == ["b"]


def test_the_ledger_finds_what_starts_after_it_was_stored_as_revoked() -> None:
    journal = Journal.read(["start a 1 1.0", "buried a 9 2.0", "buried b 9 2.0", "start b 1 3.0"])

    assert list(balance([], journal, {}).risen) == ["b"]


def test_the_ledger_explains_a_second_run_by_a_stop_of_the_worker_of_either() -> None:
    stop = ["stopped 1 9 2.0", "resumed 1 9 20.0"]
    overtaken = ["start a 1 1.9", "end a 1 2.5", "start a 2 15.0", "end a 2 16.0"]
    stale = ["start b 2 15.0", "end b 2 16.0", "start b 1 21.0", "end b 1 21.5"]
    elsewhere = ["start c 2 15.0", "end c 2 16.0", "start c 3 17.0", "end c 3 17.5"]
    much_later = ["start d 2 15.0", "end d 2 16.0", "start d 1 40.0", "end d 1 40.5"]

    journal = Journal.read([*stop, *overtaken, *stale, *elsewhere, *much_later])

    assert journal.unexplained() == {"c", "d"}


def test_a_line_torn_by_a_kill_has_not_happened() -> None:
    journal = Journal.read(["start a 1 1.0", "", "end a", "", "start a 2 2.0", "end a 2 3.0"])

    assert [run.ended for run in journal.runs["a"]] == [None, 3.0]


def test_the_ledger_explains_a_second_run_only_by_a_death_after_the_first_began() -> None:
    explained = Journal.read(["start a 1 1.0", "kill 1 9 2.0", "start a 2 3.0", "end a 2 4.0"])
    unexplained = Journal.read(["start a 1 1.0", "end a 1 2.0", "start a 2 3.0", "end a 2 4.0", "kill 2 9 5.0"])

    assert not explained.unexplained()
    assert unexplained.unexplained() == {"a"}


def test_the_ledger_tells_the_story_of_what_it_cannot_explain() -> None:
    ledger = balance(["a"], Journal.read(["start a 1 1.0", "end a 1 2.0", "start a 2 3.0", "kill 2 9 5.0"]), {})

    assert str(ledger).endswith(
        "\na: process 1 began it at 1.000, ended it at 2.000, was killed at None, stopped []; "
        "process 2 began it at 3.000, did not end it, was killed at 5.0, stopped []"
    )
