"""`celery-rs migrate`: move tasks from one broker to another.

Each batch is published before it is finished at the source: a migration that is stopped in between leaves messages in
both places, never in neither. What is not meant to move, and what cannot be read, stays held until the end and goes
back to its queue.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from celery_rs._core import DecodeError, Envelope
from celery_rs.cli.options import COMMA_SEPARATED, Seconds, json_option
from celery_rs.cli.output import ExitCode, Failure, count_of, print_json, print_note, progress
from celery_rs.transports import Completion, Consumer, Delivery, Outgoing, Route, Tag, Transport, open_transport
from celery_rs.wire import copied

BATCH = 100
_FILE = "sqlite:///"


@dataclass(slots=True)
class Migration:
    """What to move, and what has become of it. `queues` are names at the source → names at the destination."""

    queues: Mapping[str, str]
    tasks: frozenset[str]
    limit: int | None
    moved: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0

    @property
    def total(self) -> int:
        return sum(self.moved.values())

    def room(self) -> int:
        """How many messages to look at next; 0 ends the migration."""
        return BATCH if self.limit is None else min(BATCH, self.limit - self.total)

    def sort(self, deliveries: Sequence[Delivery]) -> tuple[list[tuple[Tag, Outgoing]], list[Tag]]:
        """What moves, with the message it becomes, and what stays."""
        moving: list[tuple[Tag, Outgoing]] = []
        staying: list[Tag] = []
        for delivery in deliveries:
            envelope = delivery.envelope
            if isinstance(envelope, DecodeError) or not envelope.id:
                self.unreadable += 1
                staying.append(delivery.tag)
            elif self.tasks and envelope.task not in self.tasks:
                staying.append(delivery.tag)
            else:
                moving.append((delivery.tag, copy_of(envelope, self.queues[delivery.queue])))
                self.moved[delivery.queue] = self.moved.get(delivery.queue, 0) + 1
        return moving, staying


@click.command(
    epilog="""\b
Example:
  celery-rs migrate sqlite:///old.sqlite3 sqlite:///new.sqlite3 -Q celery,images:video"""
)
@click.argument("source")
@click.argument("destination")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Move so many at most.")
@click.option(
    "-t",
    "--timeout",
    type=Seconds(),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="End when nothing has come for so long.",
)
@click.option("-T", "--tasks", type=COMMA_SEPARATED, default=(), metavar="LIST", help="These tasks only, by name.")
@click.option(
    "-Q",
    "--queues",
    type=COMMA_SEPARATED,
    default=(),
    metavar="LIST",
    help="These queues only; `a:b` moves what is in a to b.",
)
@click.option("-a", "--ack-messages", is_flag=True, help="Accepted: what was moved is always removed from the source.")
@click.option("-F", "--forever", is_flag=True, help="Go on until stopped; delayed tasks move when they are due.")
@json_option
@click.pass_context
def migrate(
    ctx: click.Context,
    source: str,
    destination: str,
    limit: int | None,
    timeout: float,
    tasks: tuple[str, ...],
    queues: tuple[str, ...],
    ack_messages: bool,
    forever: bool,
    as_json: bool,
) -> None:
    """Move tasks from the broker SOURCE to DESTINATION.

    Both are broker URLs. Every task is at the destination before it leaves the source; if this is stopped, some may
    be at both. What workers hold, and what is delayed, stays where it is.
    """
    with _opened(source, exists=True) as old, _opened(destination) as new:
        names = _renames(queues) or {name: name for name in old.queues()}
        if old.describe() == new.describe() and any(name == other for name, other in names.items()):
            raise click.UsageError(f"expected two brokers, got {new.describe()} twice; rename queues with -Q a:b")
        migration = Migration(names, frozenset(tasks), limit)
        if names:
            _move(old, new, migration, timeout=timeout, forever=forever, quiet=ctx.obj.quiet)
        left = {name: old.queues([name])[name] for name in names}
        if as_json:
            print_json({"moved": {name: migration.moved.get(name, 0) for name in sorted(names)}})
        else:
            click.echo(f"Migrated {count_of(migration.total, 'task')} from {old.describe()} to {new.describe()}.")
        for name, info in sorted(left.items()):
            if info.delayed or info.held:
                print_note(
                    f"Left in queue {name!r}: {info.delayed or 0} delayed, {info.held or 0} held by workers; "
                    "migrate again when they are due (or with --forever)"
                )
        if migration.unreadable:
            print_note(f"Left where they were: {count_of(migration.unreadable, 'message')} that cannot be read")


def _move(old: Transport, new: Transport, migration: Migration, *, timeout: float, forever: bool, quiet: bool) -> None:
    """Move batch after batch until nothing comes any more."""
    ready = sum(info.ready or 0 for info in old.queues(list(migration.queues)).values())
    expected = ready if migration.limit is None else min(ready, migration.limit)
    kept: list[Tag] = []
    with _consumer(old, migration, kept) as consumer, progress("Migrating", expected, quiet=quiet) as advance:
        while room := migration.room():
            deliveries = consumer.receive(room, timeout).deliveries
            if not deliveries and not forever:
                return
            moving, staying = migration.sort(deliveries)
            kept += staying
            new.publish([outgoing for _, outgoing in moving], wait="stored")
            consumer.finish([Completion(tag) for tag, _ in moving])
            consumer.renew()
            advance(len(moving))


@contextmanager
def _consumer(old: Transport, migration: Migration, kept: list[Tag]) -> Iterator[Consumer]:
    consumer = old.consume(list(migration.queues))
    try:
        yield consumer
    finally:
        consumer.give_back(kept)
        consumer.close()


@contextmanager
def _opened(url: str, *, exists: bool = False) -> Iterator[Transport]:
    """The broker of that URL. A file that is misspelt must not become an empty database."""
    transport = open_transport(url, {})
    try:
        described = transport.describe()
        if exists and described.startswith(_FILE) and not Path(described.removeprefix(_FILE)).exists():
            raise Failure(f"there is no database {described}; check the URL of the source", ExitCode.USAGE)
        yield transport
    finally:
        transport.close()


def _renames(queues: Sequence[str]) -> dict[str, str]:
    """`("a", "b:c")` → `{"a": "a", "b": "c"}`."""
    renames = {}
    for text in queues:
        name, colon, other = text.partition(":")
        if not name or (colon and not other):
            raise click.UsageError(f"expected a queue or two as in 'a:b' for -Q, got {text!r}")
        renames[name] = other or name
    return renames


def copy_of(envelope: Envelope, queue: str) -> Outgoing:
    """The same call, on its way to `queue`: every header and the body as they came."""
    return Outgoing(copied(envelope), Route("", queue), not_before=envelope.eta, expires=envelope.expires)
