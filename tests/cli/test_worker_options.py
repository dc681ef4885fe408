"""The options of the worker are Celery's: flags, variables, groups; and what each tells the worker."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from celery_rs.cli import worker as module
from celery_rs.cli.worker import worker
from celery_rs.worker import WorkerOptions
from tests.cli.conftest import Run, Write, error_of

# Celery 5.7, `celery worker --help`: the variable of each is CELERY_WORKER_ and its name.
CELERYS = {
    "hostname": "-n --hostname",
    "detach": "-D --detach",
    "statedb": "-S --statedb",
    "loglevel": "-l --loglevel",
    "optimization": "-O --optimization",
    "prefetch_multiplier": "--prefetch-multiplier",
    "disable_prefetch": "--disable-prefetch",
    "concurrency": "-c --concurrency",
    "pool": "-P --pool",
    "task_events": "-E --task-events --events",
    "time_limit": "--time-limit",
    "soft_time_limit": "--soft-time-limit",
    "max_tasks_per_child": "--max-tasks-per-child",
    "pool_start_method": "--pool-start-method",
    "max_memory_per_child": "--max-memory-per-child",
    "purge": "--purge --discard",
    "queues": "-Q --queues",
    "exclude_queues": "-X --exclude-queues",
    "include": "-I --include",
    "without_gossip": "--without-gossip",
    "without_mingle": "--without-mingle",
    "without_heartbeat": "--without-heartbeat",
    "heartbeat_interval": "--heartbeat-interval",
    "autoscale": "--autoscale",
    "beat": "-B --beat",
    "schedule_filename": "-s --schedule-filename --schedule",
    "scheduler": "--scheduler",
    "logfile": "-f --logfile",
    "pidfile": "--pidfile",
    "uid": "--uid",
    "gid": "--gid",
    "umask": "--umask",
    "executable": "--executable",
}
GROUPS = ("Worker", "Pool", "Queue", "Feature", "Daemon")


def test_every_option_of_celerys_is_known_by_its_flags_and_its_name() -> None:
    ours = {option.name: set(option.opts) for option in worker.params if isinstance(option, click.Option)}

    assert ours == {name: set(flags.split()) for name, flags in CELERYS.items()}


def test_the_help_is_in_groups_and_needs_neither_app_nor_broker(run: Run) -> None:
    shown = run("-A", "nowhere", "worker", "--help").stdout

    assert [shown.index(f"\n{group} options:\n") for group in GROUPS] == sorted(
        shown.index(f"\n{group} options:\n") for group in GROUPS
    )
    assert all(flag in shown for flags in CELERYS.values() for flag in flags.split())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, write: Write) -> list[WorkerOptions]:
    """What workers have been told; none of them runs."""
    write({"proj.py": "from celery_rs import Celery\napp = Celery('proj', broker='memory://')\n"})
    options: list[WorkerOptions] = []

    def instead(app: Any, given: WorkerOptions) -> None:
        options.append(given)
        raise click.ClickException("told")

    monkeypatch.setattr(module, "Worker", instead)
    return options


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("--max-memory-per-child", "20000"), "max_memory_per_child", 20_000),
        (("--autoscale", "10,3"), "autoscale", (10, 3)),
        (("--autoscale", "3,10"), "autoscale", (10, 3)),
        (("--autoscale", "10"), "autoscale", (10, 0)),
        (("--disable-prefetch",), "disable_prefetch", True),
        ((), "disable_prefetch", None),
        (("--statedb", "%n-%i.db", "-n", "w1"), "statedb", "celery-0.db"),
        (("--pool-start-method", "fork"), "pool", "prefork"),
        (("-P", "processes"), "pool", "prefork"),
        (("-l", "fatal"), "loglevel", 50),
        ((), "max_memory_per_child", None),
    ],
)
def test_an_option_reaches_the_worker(
    run: Run, told: list[WorkerOptions], words: Sequence[str], field: str, value: object
) -> None:
    run("-A", "proj", "worker", *words)

    assert getattr(told[0], field) == value


def test_the_file_of_revoked_ids_may_be_a_setting(run: Run, told: list[WorkerOptions], project: Path) -> None:
    with (project / "proj.py").open("a") as file:
        file.write("app.conf.worker_state_db = '%n.db'\n")

    run("-A", "proj", "worker", "-n", "w1@h")

    assert told[0].statedb == "w1.db"


def test_the_option_for_the_file_of_revoked_ids_is_stronger(run: Run, told: list[WorkerOptions], project: Path) -> None:
    with (project / "proj.py").open("a") as file:
        file.write("app.conf.worker_state_db = 'setting.db'\n")

    run("-A", "proj", "worker", "--statedb", "option.db")

    assert told[0].statedb == "option.db"


def test_modules_to_include_are_added_to_those_of_the_settings(
    run: Run, told: list[WorkerOptions], project: Path
) -> None:
    with (project / "proj.py").open("a") as file:
        file.write("app.conf.include = ['first_tasks']\n")
    for name in ("first", "second"):
        (project / f"{name}_tasks.py").write_text(f"open('{name}', 'w').close()")

    run("-A", "proj", "worker", "-I", "second_tasks")

    assert (project / "first").exists()
    assert (project / "second").exists()


def test_a_word_after_the_options_is_a_setting(run: Run, told: list[WorkerOptions]) -> None:
    run("-A", "proj", "worker", "-c", "1", "worker.pool=solo")

    assert told[0].pool == "solo"


def test_an_option_may_come_from_its_variable(run: Run, told: list[WorkerOptions]) -> None:
    os.environ["CELERY_WORKER_AUTOSCALE"] = "4,2"

    run("-A", "proj", "worker")

    assert told[0].autoscale == (4, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--autoscale", "many"), "expected MAX or MAX,MIN such as 10,3, got 'many'"),
        (("--autoscale", "1,2,3"), "expected MAX or MAX,MIN such as 10,3, got '1,2,3'"),
        (("--autoscale", "0"), "expected room for at least 1 process, got '0'"),
        (("--pool-start-method", "spawn"), "'spawn' is not supported yet: children are forked from a clean process"),
        (("--pool-start-method", "x"), "'x' is none; expected fork: children are forked from a clean process"),
        (("-S", "%x"), "--statedb: expected %h, %n, %d, %p, %i, %I or %%, got '%x'"),
        (("--max-memory-per-child", "0"), "0 is not in the range"),
        (("worker.nosuch=1",), "unknown setting"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    run: Run, told: list[WorkerOptions], words: Sequence[str], said: str
) -> None:
    assert said in error_of(run("-A", "proj", "worker", *words), 2)


def test_options_that_the_app_adds_are_taken(run: Run, told: list[WorkerOptions], project: Path) -> None:
    with (project / "proj.py").open("a") as file:
        file.write("import click\napp.user_options['worker'].add(click.Option(['-z', '--zone']))\n")

    result = run("-A", "proj", "worker", "-z", "blue", "-c", "1")

    assert told, result.output
    assert told[0].concurrency == 1
