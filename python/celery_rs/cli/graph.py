"""`celery-rs graph`: who works with whom, as text for Graphviz."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import click

from celery_rs.app import Celery
from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.commands import CommandGroup, hint
from celery_rs.cli.remote import gather

_KEYS = ("nodes", "threads", "broker", "backend", "wmax", "tmax", "generic", "enumerate")
_TIMEOUT_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw: the workers with what runs tasks in each, between a broker and a result store.

    `wmax` and `tmax` are the most workers, and the most threads of one, that are drawn; `enumerate` numbers the
    workers instead of naming them, `generic` draws brokers and stores by their kind.
    """

    workers: Mapping[str, Sequence[str]]
    broker: str
    backend: str
    wmax: int | None = None
    tmax: int | None = None
    generic: bool = False
    enumerate: bool = False


class GraphGroup(CommandGroup):
    """Refuses Celery's other graph by name."""

    def complaint(self, ctx: click.Context, word: str) -> str:
        if word == "bootsteps":
            return "the graph of bootsteps is not supported: workers here have none; see `celery-rs graph workers`"
        return super().complaint(ctx, word)


@click.group(cls=GraphGroup)
def graph() -> None:
    """Draw who works with whom, for Graphviz."""


@graph.command(
    cls=AppCommand,
    epilog="""\b
Keys:
  nodes:a,b      draw these workers and ask none
  threads:4      so many processes in each of them
  broker:URL     instead of the app's own
  backend:URL    instead of the app's own
  wmax:N         N workers at most
  tmax:N         N processes of a worker at most
  generic:1      brokers and stores by their kind
  enumerate:1    workers by number

\b
Example:
  celery-rs -A proj graph workers | dot -Tpng -o workers.png""",
)
@click.argument("pairs", nargs=-1, metavar="[KEY:VALUE]...")
@click.pass_context
def workers(ctx: click.Context, pairs: tuple[str, ...]) -> None:
    """Draw the broker, the workers that answer, their processes and the result store."""
    given = _pairs(pairs)
    wmax, tmax, threads = (_number(given, key) for key in ("wmax", "tmax", "threads"))
    app = any_app(ctx)
    picture = Picture(
        _named(given["nodes"], threads or 0) if "nodes" in given else _answering(app),
        given.get("broker") or app.transport.describe(),
        given.get("backend") or app.backend.describe(),
        wmax=wmax,
        tmax=tmax,
        generic=_is_on(given, "generic"),
        enumerate=_is_on(given, "enumerate"),
    )
    click.echo("\n".join(draw(picture)))


def draw(picture: Picture) -> Iterable[str]:
    """The lines of a Graphviz document."""
    broker, backend = (_kind(url) if picture.generic else url for url in (picture.broker, picture.backend))
    yield "digraph workers {"
    yield "    rankdir=LR;"
    yield '    node [style="filled", fontname="sans-serif"];'
    yield _node("broker", broker, "cds", "peachpuff")
    yield _node("backend", backend, "cylinder", "lightsteelblue")
    for number, (name, threads) in enumerate(_first(sorted(picture.workers.items()), picture.wmax), start=1):
        label = f"Worker {number}" if picture.enumerate else name
        yield _node(name, label, "box", "palegreen")
        yield _edge("broker", name)
        yield _edge(name, "backend")
        for thread in _first(threads, picture.tmax):
            yield _node(f"{name}/{thread}", thread, "oval", "lightyellow")
            yield _edge(name, f"{name}/{thread}")
        yield from _rest(name, len(threads), picture.tmax, "oval")
    yield from _rest("broker", len(picture.workers), picture.wmax, "box")
    yield "}"


def _rest(owner: str, count: int, most: int | None, shape: str) -> Iterable[str]:
    """One node for all that were left out."""
    if most is not None and count > most:
        yield _node(f"{owner}/more", f"{count - most} more", shape, "white")
        yield _edge(owner, f"{owner}/more")


def _named(nodes: str, threads: int) -> dict[str, list[str]]:
    return {name: [str(number) for number in range(1, threads + 1)] for name in nodes.split(",") if name}


def _answering(app: Celery) -> dict[str, list[str]]:
    replies = gather(app, "stats", {}, timeout=_TIMEOUT_S, destination=())
    return {node: [str(process) for process in _processes(reply)] for node, reply in replies.items()}


def _processes(reply: object) -> Sequence[object]:
    match reply:
        case {"pool": {"processes": [*processes]}}:
            return processes
    return ()


def _pairs(words: Sequence[str]) -> dict[str, str]:
    given = {}
    for word in words:
        key, colon, value = word.partition(":")
        if not colon or not value:
            raise click.UsageError(f"expected KEY:VALUE such as 'wmax:10', got {word!r}")
        if key not in _KEYS:
            raise click.UsageError(f"no key {key!r}; {hint(key, _KEYS)}")
        given[key] = value
    return given


def _number(given: Mapping[str, str], key: str) -> int | None:
    if key not in given:
        return None
    if not given[key].isdecimal():
        raise click.UsageError(f"expected a number such as '{key}:10', got '{key}:{given[key]}'")
    return int(given[key])


def _is_on(given: Mapping[str, str], key: str) -> bool:
    return given.get(key, "0").lower() not in ("0", "no", "off", "false")


def _first(things: Sequence[T], most: int | None) -> Sequence[T]:
    return things if most is None else things[:most]


def _kind(url: str) -> str:
    return f"{url.partition('://')[0]}://"


def _node(name: str, label: str, shape: str, colour: str) -> str:
    return f"    {_quoted(name)} [label={_quoted(label)}, shape={shape}, fillcolor={colour}];"


def _edge(one: str, other: str) -> str:
    return f"    {_quoted(one)} -> {_quoted(other)};"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
