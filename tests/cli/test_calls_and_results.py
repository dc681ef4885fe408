"""call, result and purge on a broker in this process."""

import json
from datetime import datetime

import pytest

from celery_rs import states
from celery_rs._core import Envelope
from celery_rs.app import Celery
from celery_rs.transports import Delivery
from celery_rs.wire import TaskResult
from tests.cli.conftest import Run, Write, error_of

PROJ = """
from celery_rs import Celery
app = Celery("proj", broker="memory://proj-of-results", backend="memory://proj-of-results")

@app.task(name="proj.add")
def add(x, y): ...

@app.task(name="proj.free", typing=False)
def free(x, y): ...
"""


def the_message(broker: str, queue: str = "celery") -> Envelope:
    """The only message in a queue."""
    (delivery,) = Celery("reader", broker=broker).transport.consume([queue]).receive(10, 0).deliveries
    assert isinstance(delivery, Delivery)
    assert isinstance(delivery.envelope, Envelope)
    return delivery.envelope


def record(broker: str, state: str, **meta: object) -> TaskResult:
    whole = {"status": state, "result": None, "traceback": None, "children": [], "task_id": "id-1", **meta}
    return TaskResult("id-1", state, 0, json.dumps(whole).encode())


def store(broker: str, state: str, **meta: object) -> None:
    Celery("writer", broker=broker, backend=broker).backend.store([record(broker, state, **meta)])


def test_call_sends_the_task_and_prints_its_id(run: Run, broker: str) -> None:
    result = run("-b", broker, "call", "proj.add", "-a", "[2, 2]", "-k", '{"x": 1}')

    message = the_message(broker)
    assert result.stdout == f"{message.id}\n"
    assert message.task == "proj.add"
    assert json.loads(message.body)[:2] == [[2, 2], {"x": 1}]


def test_call_sends_to_the_queue_that_is_named(run: Run, broker: str) -> None:
    run("-b", broker, "call", "proj.add", "--queue", "other", "--expires", "3600")

    message = the_message(broker, "other")
    assert message.expires is not None
    assert message.routing_key == "other"


def test_call_answers_programs_in_json(run: Run, broker: str) -> None:
    document = json.loads(run("-b", broker, "call", "proj.add", "--json").stdout)

    assert document == {"id": the_message(broker).id, "task": "proj.add"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-a", "[1]"), "missing 1 required positional argument: 'y'"),
        (("-a", "[1, 2, 3]"), "takes 2 positional arguments but 3 were given"),
        (("-k", '{"z": 1}'), "unexpected keyword argument 'z'"),
    ],
)
def test_call_checks_the_arguments_of_a_task_that_it_knows(
    run: Run, write: Write, words: tuple[str, ...], said: str
) -> None:
    write({"proj.py": PROJ})

    error = error_of(run("-A", "proj", "call", "proj.add", *words), 2)

    assert error.startswith("the task 'proj.add' does not take these arguments: ")
    assert said in error


def test_call_leaves_arguments_unchecked_where_the_task_says_so(run: Run, write: Write) -> None:
    write({"proj.py": PROJ})

    assert run("-A", "proj", "call", "proj.free", "-a", "[1]").exit_code == 0


def test_call_can_wait_for_a_time(run: Run, broker: str) -> None:
    task_id = run("-b", broker, "call", "proj.add", "--eta", "2100-01-01T00:00:00+00:00").stdout.strip()

    found = Celery("reader", broker=broker).transport.find(task_id)
    assert found is not None
    assert found.due == datetime.fromisoformat("2100-01-01T00:00:00+00:00").timestamp()


@pytest.mark.parametrize(("value", "shown"), [(4, "4"), ("text", "text"), ([1, None], "[1, None]"), (None, "None")])
def test_result_prints_the_value(run: Run, broker: str, value: object, shown: str) -> None:
    store(broker, states.SUCCESS, result=value)

    result = run("-b", broker, "--result-backend", broker, "result", "id-1")

    assert result.stdout == f"{shown}\n"
    assert result.exit_code == 0


FAILED = {
    "result": {"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"},
    "traceback": "Tr\n x\n",
}


def test_the_result_of_a_failed_task_is_a_failure(run: Run, broker: str) -> None:
    store(broker, states.FAILURE, **FAILED)

    result = run("-b", broker, "--result-backend", broker, "result", "id-1")

    assert error_of(result, 1) == "task id-1 ended in FAILURE with ValueError('no')"
    assert result.stdout == ""


def test_the_traceback_of_a_failed_task_is_printed_on_request(run: Run, broker: str) -> None:
    store(broker, states.FAILURE, **FAILED)

    result = run("-b", broker, "--result-backend", broker, "result", "id-1", "--traceback")

    assert result.stdout == "Tr\n x\n"
    assert result.exit_code == 1


def test_a_result_answers_programs_in_json(run: Run, broker: str) -> None:
    store(broker, states.SUCCESS, result={"a": [1]})

    document = json.loads(run("-b", broker, "--result-backend", broker, "result", "id-1", "--json").stdout)

    assert document == {"id": "id-1", "state": "SUCCESS", "result": {"a": [1]}, "error": None, "traceback": None}


def test_a_failure_answers_programs_in_json_too(run: Run, broker: str) -> None:
    store(broker, states.FAILURE, **FAILED)

    result = run("-b", broker, "--result-backend", broker, "result", "id-1", "--json")

    assert json.loads(result.stdout) == {
        "id": "id-1", "state": "FAILURE", "result": None, "error": "ValueError('no')", "traceback": "Tr\n x\n"
    }  # fmt: skip
    assert error_of(result, 1) == "task id-1 ended in FAILURE with ValueError('no')"


def test_a_result_can_be_read_by_its_task(run: Run, write: Write) -> None:
    write({"proj.py": PROJ})
    store("memory://proj-of-results", states.SUCCESS, result=4)

    assert run("-A", "proj", "result", "id-1", "-t", "proj.add").stdout == "4\n"
    assert error_of(run("-A", "proj", "result", "id-1", "-t", "proj.ad"), 2) == (
        "no task 'proj.ad' in this app; did you mean 'proj.add'?"
    )


def test_a_result_can_be_read_by_a_task_of_a_package(run: Run, write: Write) -> None:
    found = PROJ.partition("@app.task")[0] + "\napp.autodiscover_tasks(['found'])"
    tasks = "from celery_rs import shared_task\n\n@shared_task\ndef add(x, y): ..."
    write({"found/__init__.py": "", "found/celery.py": found, "found/tasks.py": tasks})
    store("memory://proj-of-results", states.SUCCESS, result=4)

    assert run("-A", "found", "result", "id-1", "-t", "found.tasks.add").stdout == "4\n"


def test_an_unknown_id_is_not_waited_for(run: Run, broker: str) -> None:
    error = error_of(run("-b", broker, "--result-backend", broker, "result", "nope"), 1)

    assert error.startswith("no task 'nope' in memory://")
    assert "check the id" in error


def test_a_queued_task_is_waited_for_as_long_as_asked(run: Run, broker: str) -> None:
    task_id = run("-b", broker, "call", "proj.add").stdout.strip()

    result = run("-b", broker, "--result-backend", broker, "result", task_id, "--timeout", "0.05")

    assert error_of(result, 1) == (
        f"no result of {task_id} within 0.05 s; its state is PENDING, waiting in queue 'celery' for a worker"
    )


def test_results_that_are_not_kept_are_said_to_be_off(run: Run, broker: str) -> None:
    error = error_of(run("-b", broker, "result", "id-1"), 1)

    assert "result_backend" in error


def test_results_that_only_the_caller_gets_are_not_waited_for(run: Run, broker: str) -> None:
    error = error_of(run("-b", broker, "--result-backend", "rpc://", "result", "id-1"), 1)

    assert "results of rpc:// come to the process that called and to no other" in error


def test_purge_asks_first(run: Run, broker: str) -> None:
    run("-b", broker, "call", "proj.add")

    result = run("-b", broker, "purge", input="n\n")

    assert result.exit_code == 1
    assert "there is no undo" in result.stderr
    assert "Are you sure you want to delete all tasks? [y/N]" in result.output
    assert result.stderr.endswith("Aborted!\n")
    assert the_message(broker).task == "proj.add"


def test_purge_counts_what_it_drops(run: Run, broker: str) -> None:
    for queue in ("a", "a", "b"):
        run("-b", broker, "call", "proj.add", "--queue", queue)

    assert run("-b", broker, "purge", "-Q", "a,b", input="y\n").stdout.endswith(
        "Purged 3 messages from 2 known task queues.\n"
    )
    assert run("-b", broker, "purge", "-f", "-Q", "a,b").stdout == "No messages purged from 2 queues.\n"


def test_purge_answers_programs_in_json(run: Run, broker: str) -> None:
    run("-b", broker, "call", "proj.add", "--queue", "a")

    result = run("-b", broker, "purge", "--json", "-Q", "a,b", input="y\n")

    assert json.loads(result.stdout) == {"purged": {"a": 1, "b": 0}}


def test_purge_spares_the_excluded(run: Run, broker: str) -> None:
    for queue in ("a", "b"):
        run("-b", broker, "call", "proj.add", "--queue", queue)

    assert (
        run("-b", broker, "purge", "-f", "-Q", "a,b", "-X", "b").stdout == "Purged 1 message from 1 known task queue.\n"
    )
    assert the_message(broker, "b").task == "proj.add"
