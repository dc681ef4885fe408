"""Virtual hosts of a test's own, on the RabbitMQ that all tests share: what is done in one, no other sees.

`rabbitmqctl` needs half a second to start and 20 ms for a virtual host, so they are made by the dozen, and those that
are done with are deleted along the way. The last ones go when the process ends.
"""

import atexit
import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.deadlines import DEADLINE_S

PORT = 5672
_AT_ONCE = 12
_LIBRARY = "/usr/lib/rabbitmq/bin"

_DELETION_OF_WHAT_IS_LEFT = (
    '[catch rabbit_vhost:delete(V, <<"guest">>) || V <- rabbit_vhost:list_names(), '
    '["celery", "rs", "test", Pid | _] <- [string:split(binary_to_list(V), "-", all)], '
    'filelib:is_dir("/proc/self"), not filelib:is_dir("/proc/" ++ Pid)]'
)
"""By processes that were killed, where the broker can tell that they live no more."""

_owner = f"celery-rs-test-{os.getpid()}-{secrets.token_hex(3)}"
_numbers = count(1)
_fresh: list[str] = []
_used: list[str] = []
_done: list[str] = []


def available() -> bool:
    """Whether a RabbitMQ listens, and can be told to make virtual hosts."""
    if _ctl() is None:
        return False
    try:
        socket.create_connection(("127.0.0.1", PORT), 1.0).close()
    except OSError:
        return False
    return True


def fresh() -> str:
    """The name of an empty one that nobody else uses."""
    if not _fresh:
        made = [f"{_owner}-{next(_numbers)}" for _ in range(_AT_ONCE)]
        left = [] if _used or _done else [_DELETION_OF_WHAT_IS_LEFT]
        _evaluate([*left, *(deletion(name) for name in _done), *(creation(name) for name in made)])
        _done.clear()
        _fresh.extend(made)
    name = _fresh.pop()
    _used.append(name)
    return name


def messages(name: str) -> dict[str, int]:
    """How many lie in each of its queues, whether delivered or not."""
    return counted(_ask("list_queues", "--quiet", "--no-table-headers", "-p", name, "name", "messages"))


def declared(name: str) -> dict[str, list[dict[str, Any]]]:
    """Its exchanges, queues and bindings with all that was said of them, but for those that every one has."""
    said = _ask("eval", _DECLARED % name)
    # Erlang prints a long text in pieces.
    found: dict[str, list[dict[str, Any]]] = json.loads(base64.b64decode("".join(re.findall(r'"([^"]*)"', said))))
    found["exchanges"] = [each for each in found["exchanges"] if not each["name"].startswith("amq.") and each["name"]]
    found["bindings"] = [each for each in found["bindings"] if each["source_name"]]
    return {kind: sorted(each, key=str) for kind, each in found.items()}


_DECLARED = """
    Host = <<"%s">>,
    Plain = fun({name, {resource, _, _, Name}}) -> {name, Name};
               ({arguments, Table}) -> {arguments, rabbit_misc:amqp_table(Table)};
               (Other) -> Other end,
    Maps = fun(Rows) -> [maps:from_list(lists:map(Plain, Row)) || Row <- Rows] end,
    base64:encode(rabbit_json:encode(#{
        exchanges => Maps(rabbit_exchange:info_all(Host, [name, type, durable, auto_delete, internal, arguments])),
        queues => Maps(rabbit_amqqueue:info_all(Host, [name, durable, auto_delete, exclusive, arguments])),
        bindings => Maps(rabbit_binding:info_all(Host,
            [source_name, destination_name, destination_kind, routing_key, arguments]))})).
"""


def counted(table: str) -> dict[str, int]:
    """What rabbitmqctl lists: names and numbers."""
    rows = (line.rsplit("\t", 1) for line in table.splitlines())
    return {name: int(number) for name, number in rows if number.isdigit()}


def done_with(name: str) -> None:
    """It is deleted, with everything in it and whoever is connected to it."""
    _used.remove(name)
    _done.append(name)


def url_of(name: str) -> str:
    return f"amqp://guest:guest@127.0.0.1:{PORT}/{name}"


@atexit.register
def _clear_up() -> None:
    names = [*_fresh, *_used, *_done]
    if names and names[0].split("-")[3] == str(os.getpid()):
        _evaluate([deletion(name) for name in names])


def creation(name: str) -> str:
    host = f'<<"{name}">>'
    rights = ", ".join(['<<".*">>'] * 3)
    return (
        f'rabbit_vhost:add({host}, <<"guest">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, {host}, {rights}, <<"guest">>)'
    )


def deletion(name: str) -> str:
    return f'catch rabbit_vhost:delete(<<"{name}">>, <<"guest">>)'


def _evaluate(steps: list[str]) -> None:
    _ask("eval", ", ".join([*steps, "ok."]))


def _ask(*words: str) -> str:
    command = _ctl()
    assert command is not None
    environment = dict(os.environ)
    if "TEST_RABBITMQ_HOME" in environment:
        environment["HOME"] = environment["TEST_RABBITMQ_HOME"]
    ctl = subprocess.Popen(
        [*command, *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = ctl.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(ctl.pid, signal.SIGKILL)
        said = f"no answer within {DEADLINE_S:.0f} seconds: has it files left? (rabbitmqctl status)"
    assert ctl.returncode == 0, f"rabbitmqctl failed: {said}"
    return said


def _ctl() -> list[str] | None:
    """Of the broker that tests/brokers.sh has started, or of this machine's own, which obeys root."""
    node = os.environ.get("TEST_RABBITMQ_NODE")
    if node is not None:
        return [f"{_LIBRARY}/rabbitmqctl", "-n", node]
    program = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return None if program is None or os.getuid() != 0 else [program]


class Vhost:
    """One of these, for a test that wants no more than a place."""

    def __init__(self) -> None:
        self.name = fresh()
        self.url = url_of(self.name)

    def messages(self) -> dict[str, int]:
        return messages(self.name)


@pytest.fixture
def some_rabbitmq() -> Iterator[Vhost]:
    """A virtual host of this test's own on the RabbitMQ that all tests share."""
    if not available():
        pytest.skip("no RabbitMQ that makes virtual hosts: BROKERS=rabbitmq tests/brokers.sh COMMAND")
    vhost = Vhost()
    yield vhost
    done_with(vhost.name)
