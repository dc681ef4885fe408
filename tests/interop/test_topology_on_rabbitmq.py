"""What workers of both declare on a RabbitMQ: flag by flag the same, or the second to come would be refused."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from celery_rs.transports.amqp import AmqpOptions, AmqpTransport, Server
from celery_rs.wire import Exchange
from tests import rabbitmq_vhosts
from tests.deadlines import DEADLINE_S, eventually
from tests.interop.celery_side import CeleryProject, OurProject, Project

MODULE = """
import json
import os

from {package} import Celery

if "{package}" == "celery":
    from kombu import Exchange, Queue, binding
    from kombu.common import Broadcast
else:
    from celery_rs import Broadcast, Exchange, Queue, binding

app = Celery("proj")
app.conf.update(json.loads(os.environ["PROJ_SETTINGS"]))
KIND = app.conf.task_default_queue_type
ARGUMENTS = {"x-queue-type": KIND} if KIND == "quorum" else None
FOLDER = os.path.dirname(os.environ["PROJ_FOLDER"])
app.conf.task_queues = [
    Queue("celery", queue_arguments=ARGUMENTS),
    Queue("keyed", Exchange("direct"), routing_key="key", queue_arguments=ARGUMENTS),
    Queue("unkeyed", Exchange("direct"), queue_arguments=ARGUMENTS),
    Queue("logs", Exchange("topic", type="topic"), routing_key="logs.*.#", queue_arguments=ARGUMENTS),
    Queue("all", Exchange("topic", type="topic"), routing_key="#", queue_arguments=ARGUMENTS),
    Queue("many", bindings=[binding(Exchange("one"), "x"), binding(Exchange("two", type="topic"), "y.*")]),
    Queue("fan", Exchange("fan", type="fanout"), routing_key="any"),
    Queue("headed", Exchange("headed", type="headers"), routing_key="",
          binding_arguments={"x-match": "all", "kind": "a", "level": 3}),
    Queue("short", Exchange("short", durable=False), routing_key="s", durable=False, expires=60, message_ttl=1.5,
          max_length=10, max_length_bytes=1000, max_priority=5),
    Queue("passing", Exchange("passing", auto_delete=True), auto_delete=True),
    Broadcast("everyone"),
]
app.conf.task_routes = {"proj.hear": {"queue": "everyone"}}


@app.task(ignore_result=True)
def hear(word):
    with open(os.path.join(FOLDER, "heard"), "a") as file:
        file.write("{package} " + word + "\\n")
"""
PROJECTS = {"theirs": CeleryProject, "ours": OurProject}
ALONE = ("--without-gossip", "--without-mingle")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def declared_by(kind: type[Project], folder: Path, settings: Mapping[str, object]) -> dict[str, list[dict[str, Any]]]:
    """All that is there beside its worker, but for what only ours know."""
    host = rabbitmq_vhosts.fresh()
    try:
        with kind(folder, rabbitmq_vhosts.url_of(host), settings, MODULE) as project:
            worker = project.worker("-P", "solo", "-E", *ALONE)
            found: dict[str, list[dict[str, Any]]] = {}

            def hears_control() -> bool:
                """Celery's says that it is ready before it has declared its own queue for that."""
                found.update(rabbitmq_vhosts.declared(host))
                return any(row["destination_name"] == "w1@host.celery.pidbox" for row in found["bindings"])

            eventually(hears_control, lambda: worker.output)
    finally:
        rabbitmq_vhosts.done_with(host)
    return {what: [_named(row) for row in rows if not _ours(row)] for what, rows in found.items()}


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _UUID.sub("UUID", value) if isinstance(value, str) else value for name, value in row.items()}


def _ours(row: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and value.startswith("celery_rs.") for value in row.values())


SETTINGS: dict[str, dict[str, object]] = {
    "classic": {"worker_direct": True},
    "quorum": {"task_default_queue_type": "quorum"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_both_declare_the_same(tmp_path: Path, settings: dict[str, object]) -> None:
    theirs, ours = (declared_by(kind, tmp_path / name, settings) for name, kind in PROJECTS.items())

    if "task_default_queue_type" in settings:
        # Celery's ladder does not lead to broadcasts; ours do not lose what is sent up it to one.
        extra = [row for row in ours["bindings"] if row["routing_key"] == "#.celery" and row not in theirs["bindings"]]
        assert sorted(row["destination_name"] for row in extra) == ["bcast.UUID", "everyone"]
        ours["bindings"] = [row for row in ours["bindings"] if row not in extra]
    for what in theirs:
        assert [row for row in ours[what] if row not in theirs[what]] == [], what
        assert [row for row in theirs[what] if row not in ours[what]] == [], what


def test_both_hear_what_either_says_to_everyone(tmp_path: Path, some_rabbitmq: rabbitmq_vhosts.Vhost) -> None:
    heard = tmp_path / "heard"
    with (
        CeleryProject(tmp_path / "theirs", some_rabbitmq.url, {}, MODULE) as theirs,
        OurProject(tmp_path / "ours", some_rabbitmq.url, {}, MODULE) as ours,
    ):
        worker = theirs.worker("-P", "solo", *ALONE, name="theirs@host")
        ours.worker("-P", "solo", name="ours@host")
        eventually(lambda: "theirs@host" in ours.run("status", "-t", "1").stdout, lambda: worker.output)
        for project in (theirs, ours):
            project.python(f"proj.hear.delay('from-{project.package}')")
        eventually(lambda: heard.exists() and len(heard.read_text().splitlines()) == 4)

    assert sorted(heard.read_text().splitlines()) == [
        f"{who} from-{whom}" for who in ("celery", "celery_rs") for whom in ("celery", "celery_rs")
    ]


def test_two_of_one_name_both_hear(some_rabbitmq: rabbitmq_vhosts.Vhost) -> None:
    """A queue of that name is the first one's alone; Celery's worker would not start."""
    exchange = Exchange("celery.pidbox", "fanout", durable=False)
    transport = AmqpTransport(Server(some_rabbitmq.url, AmqpOptions()))
    heard = [transport.subscribe(exchange, "#", "w1@host.celery.pidbox") for _ in range(2)]

    transport.announce(exchange, "", [b"news"])

    assert [list(each.receive(DEADLINE_S)) for each in heard] == [[b"news"]] * 2
    for each in heard:
        each.close()
    transport.close()
