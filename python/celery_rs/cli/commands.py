"""The commands by name, each imported when it is used: `--help` and `call` do not load the worker.

The help line stands here as well as in the command, where a test compares the two. Other packages add commands by
entry points of the group `celery_rs.commands` (name → a click command); the names below come first.
"""

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple

import click

from celery_rs.cli.output import print_note

PLUGINS = "celery_rs.commands"


class Row(NamedTuple):
    """A command: `module:name`, where it is, and the first line of its help."""

    place: str
    help: str


COMMANDS: dict[str, Row] = {
    "call": Row("celery_rs.cli.call:call", "Send the task NAME and print its id."),
    "check": Row("celery_rs.cli.check:check", "Find mistakes in the settings, tasks and routes of the app."),
    "completion": Row("celery_rs.cli.completion:completion", "Print the script that lets SHELL complete commands."),
    "control": Row("celery_rs.cli.control:control", "Change running workers."),
    "dead": Row("celery_rs.cli.dead:dead", "Look after messages that could not be run."),
    "events": Row("celery_rs.cli.events:events", "Print what workers and tasks do."),
    "graph": Row("celery_rs.cli.graph:graph", "Draw who works with whom, for Graphviz."),
    "handback": Row(
        "celery_rs.cli.handback:handback", "Return what only workers of celery-rs know of to plain queues."
    ),
    "inspect": Row("celery_rs.cli.inspect:inspect", "Look at running workers."),
    "list": Row("celery_rs.cli.list:listing", "List what the app has configured."),
    "logtool": Row("celery_rs.cli.logtool:logtool", "Make sense of a worker's log files."),
    "migrate": Row("celery_rs.cli.migrate:migrate", "Move tasks from the broker SOURCE to DESTINATION."),
    "multi": Row("celery_rs.cli.multi:multi", "Start and stop several workers."),
    "purge": Row("celery_rs.cli.purge:purge", "Drop every message that waits in the known queues."),
    "report": Row(
        "celery_rs.cli.report:report", "Show versions, broker, results and the settings that are set, without secrets."
    ),
    "result": Row("celery_rs.cli.result:result", "Print the result of the task ID, waiting for it if need be."),
    "shell": Row("celery_rs.cli.shell:shell", "Start Python with the app and its tasks at hand."),
    "status": Row("celery_rs.cli.status:status", "Show which workers answer."),
    "upgrade": Row("celery_rs.cli.upgrade:upgrade", "Bring a project's files up to date."),
    "worker": Row("celery_rs.cli.worker:worker", "Run tasks."),
}

REFUSED: dict[str, str] = {
    "amqp": "there is no AMQP broker yet; see `celery-rs list`, `purge` and `migrate`",
    "beat": "there is no scheduler yet; start periodic tasks from cron or a systemd timer with `celery-rs call`",
    "flower": "start Flower with Celery's own command, on a broker that it knows; or see `celery-rs events --dump`",
}
"""Celery's commands that are not there yet, with what to do instead."""


class CommandGroup(click.Group):
    """A group that knows what a misspelt command may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        found = self.get_command(ctx, word)
        if found is None and not ctx.resilient_parsing:
            ctx.fail(self.complaint(ctx, word))
        return (None if found is None else word), found, args[1:]

    def complaint(self, ctx: click.Context, word: str) -> str:
        """What to say of a word that is no command."""
        return f"no command {word!r}; {hint(word, self.list_commands(ctx), there='the commands are')}"


def find(name: str) -> click.Command | None:
    """The command of that name, ours or a plug-in's."""
    row = COMMANDS.get(name)
    if row is None:
        return _plugins(name).get(name)
    module, _, attribute = row.place.partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


def help_lines() -> list[tuple[str, str]]:
    """Every command that is not hidden with its line of help, by name."""
    lines = {name: row.help for name, row in COMMANDS.items()}
    lines |= {name: command.get_short_help_str(100) for name, command in _plugins().items() if not command.hidden}
    return sorted(lines.items())


def names() -> list[str]:
    """Every command, by name."""
    return [name for name, _ in help_lines()]


def hint(word: str, known: Iterable[str], *, there: str = "there is") -> str:
    """What a misspelt word may have meant, else all there is."""
    choices = sorted(known)
    near = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{there} {', '.join(choices)}"


def _plugins(name: str | None = None) -> dict[str, click.Command]:
    """The plug-ins' commands, or the one of that name. One that cannot be loaded is told, and left out."""
    found: dict[str, click.Command] = {}
    # Looking for entry points takes as long as all the rest of `--version`.
    metadata = import_module("importlib.metadata")
    for point in metadata.entry_points(group=PLUGINS):
        if point.name in COMMANDS or name not in (None, point.name):
            continue
        try:
            command = point.load()
        except Exception as error:  # noqa: BLE001 - user code: importing it may raise anything
            print_note(f"the command {point.name!r} of {point.value!r} cannot be loaded: {error!r}")
            continue
        if isinstance(command, click.Command):
            found[point.name] = command
        else:
            print_note(f"expected {point.value!r} to be a click command, got {command!r}; {point.name!r} is left out")
    return found
