"""`celery-rs events --dump`: what workers and clients tell monitors, a line for each event."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.groups import refused
from celery_rs.cli.options import json_option
from celery_rs.cli.output import print_json, print_note
from celery_rs.errors import OperationalError
from celery_rs.transports import Backoff

NAMES_MOST = 10_000
"""How many tasks' names are remembered: only their first events carry them."""
_NO_CAMERA = "no snapshots are taken; fold events in a program of your own with app.events.State"
_WORDS = {"worker-online": "started", "worker-offline": "shutdown", "worker-heartbeat": "heartbeat"}
_SHOWN_BEFORE = frozenset({"type", "hostname", "timestamp", "uuid", "name", "local_received", "utcoffset"})


@click.command(cls=AppCommand)
@click.option("-d", "--dump", is_flag=True, help="Print each event; Ctrl+C ends it.")
@json_option
@refused("-c", "--camera", why=_NO_CAMERA)
@refused("-F", "--frequency", "--freq", why=_NO_CAMERA)
@refused("-r", "--maxrate", why=_NO_CAMERA)
@refused("--detach", is_flag=True, why="it only prints; start it where it is to print")
@click.pass_context
def events(ctx: click.Context, dump: bool, as_json: bool) -> None:
    """Print what workers and tasks do.

    Workers tell of themselves; of their tasks those that were started with -E, or told `control enable_events`.
    """
    if not dump:
        raise click.UsageError("the monitor on the terminal is not there; print the events with --dump, or use Flower")
    app = any_app(ctx)
    lines = Lines()
    with app.events.Receiver() as receiver:
        if not ctx.obj.quiet and not as_json:
            click.echo("-> evdump: starting capture...")
        backoff = Backoff()
        while True:
            try:
                for event in receiver.itercapture():
                    backoff.reset()
                    print_json(event) if as_json else click.echo(lines.of(event))
            except OperationalError as error:
                delay = backoff.next()
                print_note(f"events: {error}; trying again in {delay:.2f} seconds")
                time.sleep(delay)


class Lines:
    """Events as lines. It remembers the names of tasks."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()

    def of(self, event: Mapping[str, Any]) -> str:
        """`w1@host [2030-01-31 12:00:00.000000+00:00] task received: proj.add(id) args='(2, 2)', ...`"""
        kind = event["type"]
        what = _WORDS.get(kind, str(kind).lower().replace("-", " "))
        uuid = event.get("uuid")
        about = f" {self._name(str(uuid), event.get('name'))}({uuid})" if uuid else ""
        fields = ", ".join(f"{name}={value!r}" for name, value in sorted(event.items()) if name not in _SHOWN_BEFORE)
        return f"{event.get('hostname')} [{_time(event.get('timestamp'))}] {what}:{about} {fields}"

    def _name(self, uuid: str, name: object) -> str:
        if isinstance(name, str):
            self._names[uuid] = name
            while len(self._names) > NAMES_MOST:
                self._names.popitem(last=False)
        return self._names.get(uuid, "")


def _time(timestamp: object) -> str:
    """Anybody may send events: what is no time is shown as it is."""
    try:
        return str(datetime.fromtimestamp(float(str(timestamp)), UTC))
    except (ValueError, OverflowError, OSError):
        return repr(timestamp)
