"""Remote control across: our client and Celery's workers, Celery's client and our workers, on a real Redis."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from celery_rs import Celery
from celery_rs.config import mask_url
from tests.deadlines import DEADLINE_S, eventually
from tests.interop.celery_side import CeleryProject, OurProject

QUIET = ("-c", "1", "--without-gossip", "--without-mingle")


@pytest.fixture
def client(broker: str) -> Iterator[Celery]:
    """Our client in this process."""
    with Celery("proj", broker=broker, set_as_current=False) as app:
        yield app


def awake(app: Celery, *nodes: str) -> None:
    """Wait until these hear: a worker of Celery's says that it is ready before it has subscribed."""
    eventually(lambda: {node for answer in app.control.ping(list(nodes), timeout=0.5) for node in answer} == set(nodes))


def asked(app: Celery, command: str, arguments: Any = None, *, limit: int = 1, **options: Any) -> dict[str, Any]:
    answers = app.control.broadcast(command, arguments, reply=True, timeout=DEADLINE_S, limit=limit, **options)
    return {node: reply for answer in answers or [] for node, reply in answer.items()}


# Our client, Celery's worker


def test_our_client_asks_a_worker_of_celerys(client: Celery, theirs: CeleryProject) -> None:
    theirs.worker("-E", *QUIET)
    awake(client, "w1@host")
    inspect = client.control.inspect(["w1@host"], timeout=DEADLINE_S)

    assert client.control.ping(timeout=DEADLINE_S, limit=1) == [{"w1@host": {"ok": "pong"}}]
    assert (inspect.registered() or {})["w1@host"] == [
        f"proj.{name}" for name in ("add", "again", "fail", "hold", "telling")
    ]
    assert [queue["name"] for queue in (inspect.active_queues() or {})["w1@host"]] == ["celery"]
    assert (inspect.stats() or {})["w1@host"]["pool"]["max-concurrency"] == 1
    kind = str(theirs.settings["broker_url"]).partition(":")[0]
    assert (inspect.conf() or {})["w1@host"]["broker_url"].startswith(kind)


def test_our_client_changes_a_worker_of_celerys(client: Celery, theirs: CeleryProject) -> None:
    worker = theirs.worker(*QUIET)
    awake(client, "w1@host")

    assert asked(client, "rate_limit", {"task_name": "proj.add", "rate_limit": "10/m"}) == {
        "w1@host": {"ok": "new rate limit set successfully"}
    }
    assert asked(client, "add_consumer", {"queue": "extra"}) == {"w1@host": {"ok": "add consumer extra"}}
    assert asked(client, "no_such_command") == {"w1@host": {"error": "KeyError('no_such_command')"}}
    client.control.shutdown()
    assert worker.ends() == 0


def test_our_client_ends_a_task_that_a_worker_of_celerys_runs(client: Celery, theirs: CeleryProject) -> None:
    worker = theirs.worker(*QUIET)
    awake(client, "w1@host")
    result = client.send_task("proj.hold", ["held"])
    eventually(lambda: theirs.started("held"))
    (info,) = asked(client, "active")["w1@host"]
    assert (info["id"], info["args"]) == (result.id, ["held"])

    client.control.revoke(result.id, terminate=True)

    worker.wait_for(f"Terminating {result.id} (")


def test_our_command_line_asks_a_worker_of_celerys(client: Celery, ours: OurProject, theirs: CeleryProject) -> None:
    theirs.worker(*QUIET)
    awake(client, "w1@host")

    ping = ours.run("inspect", "-t", str(DEADLINE_S), "-d", "w1@host", "ping")
    status = ours.run("status", "-t", str(DEADLINE_S), "-d", "w1@host")
    limited = ours.run("control", "-t", str(DEADLINE_S), "-d", "w1@host", "rate_limit", "proj.add", "1/s")

    assert ping.stdout == "w1@host: OK\n    pong\n\n1 node online.\n", ping.stderr
    assert status.stdout == "w1@host: OK\n\n1 node online.\n", status.stderr
    assert limited.stdout == "w1@host: OK\n    new rate limit set successfully\n", limited.stderr


# Celery's client, our worker


def test_celerys_client_asks_our_worker(theirs: CeleryProject, ours: OurProject) -> None:
    ours.worker("-E", "-c", "1")

    said = theirs.python(
        f"inspect = app.control.inspect(['w1@host'], timeout={DEADLINE_S})\n"
        "say([getattr(inspect, name)()['w1@host'] for name in\n"
        "     ('ping', 'registered', 'active_queues', 'stats', 'conf', 'active', 'reserved', 'scheduled', 'revoked')])"
    )

    ping, registered, queues, stats, conf, *lists = said
    assert ping == {"ok": "pong"}
    assert registered == [f"proj.{name}" for name in ("add", "again", "fail", "hold", "telling")]
    assert [queue["name"] for queue in queues] == ["celery"]
    assert stats["broker"]["transport"] == str(ours.settings["broker_url"]).partition(":")[0]
    assert conf["broker_url"] == mask_url(str(ours.settings["broker_url"]))
    assert lists == [[], [], [], []]


@pytest.mark.parametrize(
    ("chosen", "answer"),
    [
        ("destination=['w2@host']", ["w2@host"]),
        ("pattern='w[13]@*', matcher='glob'", ["w1@host"]),
        (r"pattern='^w\\d@h', matcher='pcre'", ["w1@host", "w2@host"]),
    ],
)
def test_celerys_client_chooses_among_our_workers(
    theirs: CeleryProject, ours: OurProject, chosen: str, answer: list[str]
) -> None:
    for name in ("w1@host", "w2@host"):
        ours.worker("-P", "solo", name=name)

    said = theirs.python(
        f"say(app.control.broadcast('ping', reply=True, timeout={DEADLINE_S}, limit={len(answer)}, {chosen}))"
    )

    assert sorted(said, key=str) == [{node: {"ok": "pong"}} for node in answer]


def test_celerys_command_line_asks_our_worker(theirs: CeleryProject, ours: OurProject) -> None:
    worker = ours.worker("-c", "1")
    options = ("-t", str(DEADLINE_S), "-d", "w1@host", "--json")

    ping = theirs.run("inspect", *options, "ping")
    limited = theirs.run("control", *options, "rate_limit", "proj.add", "10/m")
    report = theirs.run("inspect", "-t", str(DEADLINE_S), "-d", "w1@host", "report")
    shut = theirs.run("control", *options, "shutdown")

    assert json.loads(ping.stdout) == {"w1@host": {"ok": "pong"}}, ping.stderr
    assert json.loads(limited.stdout) == [{"w1@host": {"ok": "new rate limit set successfully"}}], limited.stderr
    assert "celery-rs:" in report.stdout, report.stderr
    assert json.loads(shut.stdout) == [{"w1@host": {"ok": "shutting down"}}], shut.stderr
    assert worker.ends() == 0


def test_celerys_client_ends_a_task_that_our_worker_runs(theirs: CeleryProject, ours: OurProject) -> None:
    worker = ours.worker("-c", "1")
    task_id = theirs.python("say(proj.hold.delay('held').id)")
    eventually(lambda: ours.started("held"))

    active, found = theirs.python(
        f"inspect = app.control.inspect(['w1@host'], timeout={DEADLINE_S})\n"
        f"say([inspect.active(safe=True)['w1@host'], inspect.query_task('{task_id}')['w1@host']])"
    )
    assert [(one["id"], one["args"], one["acknowledged"]) for one in active] == [(task_id, "('held',)", True)]
    assert found[task_id][0] == "active"

    theirs.python(f"app.control.revoke('{task_id}', terminate=True)")

    worker.wait_for(f"Terminating {task_id} (SIGTERM)")


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_celerys_client_sees_what_is_deferred_for_our_worker(theirs: CeleryProject, ours: OurProject) -> None:
    """It lies at the broker, where Celery's worker would hold it."""
    worker = ours.worker("-c", "1")
    task_id = theirs.python("say(proj.add.apply_async((1, 1), countdown=3600).id)")
    worker.wait_for(f"Task proj.add[{task_id}] received")
    questions = (
        f"inspect = app.control.inspect(['w1@host'], timeout={DEADLINE_S})\n"
        f"say([inspect.scheduled()['w1@host'], inspect.query_task('{task_id}')['w1@host']])"
    )
    eventually(lambda: theirs.python(questions)[0])

    (scheduled,), found = theirs.python(questions)

    assert (scheduled["request"]["id"], scheduled["request"]["args"]) == (task_id, [1, 1])
    assert [found[task_id][0], found[task_id][1]["id"]] == ["scheduled", task_id]


# Side by side


def test_one_question_is_answered_by_workers_of_both(client: Celery, theirs: CeleryProject, ours: OurProject) -> None:
    theirs.worker(*QUIET, name="celery@host")
    ours.worker("-P", "solo", name="rs@host")
    awake(client, "celery@host", "rs@host")

    assert asked(client, "ping", limit=2) == {"celery@host": {"ok": "pong"}, "rs@host": {"ok": "pong"}}
    said = theirs.python(f"say(app.control.ping(timeout={DEADLINE_S}, limit=2))")
    assert sorted(said, key=str) == [{"celery@host": {"ok": "pong"}}, {"rs@host": {"ok": "pong"}}]


def test_a_worker_of_celerys_that_starts_beside_ours_syncs_with_it_and_sees_it(
    client: Celery, theirs: CeleryProject, ours: OurProject
) -> None:
    """Mingle and gossip: `hello` answered, revoked ids taken over, heartbeats understood."""
    ours.worker("-P", "solo", name="rs@host")
    asked(client, "revoke", {"task_id": "gone"})

    worker = theirs.worker("-c", "1", name="celery@host")

    worker.wait_for("mingle: sync with 1 nodes")
    worker.wait_for("mingle: sync complete")
    awake(client, "celery@host")
    revoked = asked(client, "revoked", destination=["celery@host"])
    assert revoked == {"celery@host": ["gone"]}


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_what_was_asked_leaves_nothing_behind(client: Celery, theirs: CeleryProject, ours: OurProject) -> None:
    ours.worker("-P", "solo")
    asked(client, "ping")
    theirs.python(f"say(app.control.ping(timeout={DEADLINE_S}, limit=1))")

    left = theirs.python(
        "connection = app.connection_for_write()\n"
        "say([key.decode() for key in connection.default_channel.client.keys('*pidbox*')])"
    )

    assert [key for key in left if not key.startswith("_kombu.binding.reply.")] == []


def test_an_election_among_celerys_workers_comes_to_its_end_beside_ours(
    client: Celery, theirs: CeleryProject, ours: OurProject
) -> None:
    """Ours counts as alive and takes no part; one of the two candidates wins, and both go on."""
    names = ("a@host", "b@host")
    ours.worker("-P", "solo", name="rs@host")
    workers = [theirs.worker("-c", "1", "--without-mingle", "-l", "DEBUG", name=name) for name in names]
    for worker, other in zip(workers, reversed(names), strict=True):
        worker.wait_for("rs@host joined the party")
        worker.wait_for(f"{other} joined the party")  # a candidate waits for the votes of all whom it knows
    awake(client, *names)

    client.control.election("e-1", "task", {"task": "proj.add", "args": [1, 1], "kwargs": {}, "options": {}})

    eventually(lambda: sum("I won the election 'e-1'" in worker.output for worker in workers) == 1)
    eventually(lambda: sum("elected for 'e-1'" in worker.output for worker in workers) == 1)
    awake(client, *names, "rs@host")
