"""list: what the app has configured."""

import json

from tests.cli.conftest import Run, Write

APP = """
from celery_rs import Celery
app = Celery("proj", broker="memory://", task_queues={
    "celery": {}, "images": {"exchange": "media", "routing_key": "image.#"},
})
"""


def test_the_bindings_are_columns(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert run("-A", "proj", "list", "bindings").stdout.splitlines() == [
        "Queue                       Exchange                    Routing Key",
        "celery                      celery                      celery",
        "images                      media                       image.#",
    ]


def test_the_bindings_are_a_document(run: Run, write: Write) -> None:
    write({"proj.py": APP})

    assert json.loads(run("-A", "proj", "list", "bindings", "--json").stdout)[1] == {
        "queue": "images", "exchange": "media", "routing_key": "image.#"
    }  # fmt: skip


def test_a_group_alone_shows_its_help(run: Run) -> None:
    assert "bindings  Show each queue with the exchange" in run("list", "--help").stdout
