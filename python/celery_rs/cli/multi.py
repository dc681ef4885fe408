"""`celery-rs multi`: start, stop and look after several workers at once, in the background."""

import shlex
import signal
from collections.abc import Callable, Sequence

import click

from celery_rs._core import RELEASE
from celery_rs.cli.daemon_command import global_words
from celery_rs.cli.multi_nodes import WorkerNode, wait_until_gone, worker_nodes
from celery_rs.cli.multi_words import Words, nodes_of, read
from celery_rs.cli.nodes import expand
from celery_rs.cli.output import ExitCode, Failure
from celery_rs.cli.worker import worker

USAGE = """\b
Commands:
  start NODES [OPTIONS]          start them; returns when each is ready or has failed
  stop NODES [-SIGNAL]           send TERM, or another signal, and return at once
  stopwait NODES [-SIGNAL]       the same, and wait until they have ended (also stop_verify)
  restart NODES [OPTIONS]        stopwait, then start
  kill NODES                     end them with whatever they run
  show NODES [OPTIONS]           print the commands that start them
  names NODES                    print their names
  get NAME NODES [OPTIONS]       print the command that starts this one
  expand TEMPLATE NODES          print the template for each: %n name, %h host, %d domain, %p name@host
  help                           this text

\b
Nodes:
  3                  celery1, celery2 and celery3 (--range-prefix=w: w1, w2, w3)
  image video        by name, on this host (--hostname=HOST or --suffix=HOST: on another)
  image@%h           by full name (--prefix=PREFIX goes before the others)

\b
Options go to every worker, and with a colon to some of them:
  celery-rs multi start 5 -A proj -c 3 -c:1-3 10 -Q:4,5 data -l INFO
  celery-rs multi start image video -A proj -Q:image images --concurrency:video=1

\b
Multi's own:
  --pidfile=%n.pid --logfile=%n%I.log   in the working directory, unless you say otherwise
  --executable=PYTHON --cmd=WORDS       instead of: this Python, -m celery_rs worker --detach
  --append=WORDS                        at the end of each command
  --quiet (-q), --nosplash, --verbose, --no-color

To stop workers give the options that started them: multi finds them by their pid files."""

Say = Callable[[str], None]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=USAGE,
    options_metavar="",
)
@click.argument("command", required=False, metavar="COMMAND")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[NODES] [OPTIONS]")
@click.pass_context
def multi(ctx: click.Context, command: str | None, words: tuple[str, ...]) -> None:
    """Start and stop several workers."""
    if command in (None, "help") or {"-h", "--help"} & set(words):
        click.echo(ctx.get_help())
        return
    if command not in _COMMANDS:
        raise click.UsageError(
            f"no command {command!r} of multi; the commands are {', '.join([*_COMMANDS, 'help'])}", ctx
        )
    first = ""
    if command in ("get", "expand"):
        if not words:
            raise click.UsageError(
                f"multi {command} needs what to {command}, and nodes; see `celery-rs multi help`", ctx
            )
        first, *words_left = words
        words = tuple(words_left)
    try:
        number, words = _signal(command, words)
        call = _Call(ctx, first, number, read((*_above(ctx), *words), _takes_value(ctx)))
        code = _COMMANDS[command](call)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from None
    ctx.exit(code)


class _Call:
    """One call of `multi`: what was asked for, and how to talk about it."""

    def __init__(self, ctx: click.Context, first: str, number: signal.Signals, words: Words) -> None:
        self.first = first
        self.signal = number
        self.words = words
        self.is_quiet = "--quiet" in words.own or ctx.obj.quiet
        self.is_verbose = "--verbose" in words.own
        self._above = ctx.find_root().command
        self._has_app = ctx.obj.app is not None
        if "--no-color" in words.own:
            ctx.color = False
        if not words.names:
            raise ValueError("expected nodes, by count or by name, got none; see `celery-rs multi help`")
        if not self.is_quiet and "--nosplash" not in words.own:
            self._title = click.style(f"celery-rs multi v{RELEASE}", fg="cyan", bold=True)
        else:
            self._title = ""

    def splash(self) -> None:
        if self._title:
            click.echo(self._title)

    def say(self, line: str) -> None:
        if not self.is_quiet:
            click.echo(line)

    def nodes(self) -> list[WorkerNode]:
        return worker_nodes(self.words, self._above, worker)

    def nodes_of_an_app(self) -> list[WorkerNode]:
        """For commands that start workers. Raises Failure without an app."""
        given = {option for option, _ in (*self.words.options, *(given for _, given in self.words.of_some))}
        if not ({"-A", "--app"} & given or self._has_app):
            raise Failure(
                "expected an app to take tasks from, got none; name its module: `celery-rs multi start 2 -A proj`",
                ExitCode.USAGE,
            )
        return self.nodes()


def _start(call: _Call) -> int:
    nodes = call.nodes_of_an_app()
    call.splash()
    call.say("> Starting nodes...")
    codes = [_start_one(call, node) for node in nodes]
    return next((code for code in codes if code), ExitCode.OK)


def _start_one(call: _Call, node: WorkerNode) -> int:
    if call.is_verbose:
        call.say(f"    {shlex.join(node.command)}")
    code = node.start()
    call.say(f"  > {node.node}: {_good('OK') if code == ExitCode.OK else _bad(f'FAILED (exit code {code})')}")
    return code


def _stop(call: _Call) -> int:
    _signalled(call, call.nodes())
    return ExitCode.OK


def _stopwait(call: _Call) -> int:
    _wait(call, _signalled(call, call.nodes()))
    return ExitCode.OK


def _restart(call: _Call) -> int:
    nodes = call.nodes_of_an_app()
    _wait(call, _signalled(call, nodes))
    call.say("> Starting nodes...")
    codes = [_start_one(call, node) for node in nodes]
    return next((code for code in codes if code), ExitCode.OK)


def _kill(call: _Call) -> int:
    call.signal = signal.SIGKILL
    nodes = call.nodes()
    _wait(call, _signalled(call, nodes))
    for node in nodes:
        node.pid()  # removes the file that a killed worker leaves behind
    return ExitCode.OK


def _show(call: _Call) -> int:
    for node in call.nodes():
        click.echo(shlex.join(node.command))
    return ExitCode.OK


def _names(call: _Call) -> int:
    for node in nodes_of(call.words):
        click.echo(str(node))
    return ExitCode.OK


def _get(call: _Call) -> int:
    for node in call.nodes():
        if call.first in (node.node.name, str(node.node)):
            click.echo(shlex.join(node.command))
            return ExitCode.OK
    raise ValueError(f"there is no node {call.first!r} among {', '.join(map(str, nodes_of(call.words)))}")


def _expand(call: _Call) -> int:
    for node in nodes_of(call.words):
        domain = node.host.partition(".")[2]
        click.echo(
            expand(call.first, {"n": node.name, "h": node.host, "d": domain, "p": str(node), "i": "%i", "I": "%I"})
        )
    return ExitCode.OK


_COMMANDS: dict[str, Callable[[_Call], int]] = {
    "start": _start,
    "stop": _stop,
    "stopwait": _stopwait,
    "stop_verify": _stopwait,
    "restart": _restart,
    "kill": _kill,
    "show": _show,
    "names": _names,
    "get": _get,
    "expand": _expand,
}
_SIGNALLING = ("stop", "stopwait", "stop_verify", "restart", "kill")


def _signalled(call: _Call, nodes: Sequence[WorkerNode]) -> dict[int, WorkerNode]:
    """Signal each; the processes that were there."""
    call.splash()
    call.say("> Stopping nodes...")
    found: dict[int, WorkerNode] = {}
    for node in nodes:
        pid = node.send(call.signal)
        if pid is None:
            call.say(f"  > {node.node}: {_bad('DOWN')}")
        else:
            found[pid] = node
            call.say(f"  > {node.node}: {call.signal.name.removeprefix('SIG')} -> {pid}")
    return found


def _wait(call: _Call, found: dict[int, WorkerNode]) -> None:
    if found:
        noun = "node" if len(found) == 1 else "nodes"
        call.say(f"> Waiting for {len(found)} {noun} -> {', '.join(map(str, found))}...")
        wait_until_gone(list(found), lambda pid: call.say(f"  > {found[pid].node}: {_good('OK')}"))


def _signal(command: str, words: tuple[str, ...]) -> tuple[signal.Signals, tuple[str, ...]]:
    """The signal that a word such as `-9`, `-INT` or `-SIGINT` names, and the other words."""
    number = signal.SIGTERM
    others = []
    for word in words:
        named = _signal_named(word[1:]) if command in _SIGNALLING and word.startswith("-") else None
        if named is None:
            others.append(word)
        else:
            number = named
    return number, tuple(others)


def _signal_named(name: str) -> signal.Signals | None:
    try:
        return signal.Signals(int(name)) if name.isdecimal() else signal.Signals[f"SIG{name.removeprefix('SIG')}"]
    except (KeyError, ValueError):
        return None


def _above(ctx: click.Context) -> list[str]:
    """What was typed before `multi`, for the workers; `--workdir` has been obeyed already."""
    words = global_words(ctx)
    if "--workdir" in words:
        place = words.index("--workdir")
        del words[place : place + 2]
    return words


def _takes_value(ctx: click.Context) -> Callable[[str], bool | None]:
    known = {
        spelling: not param.is_flag
        for command in (ctx.find_root().command, worker)
        for param in command.params
        if isinstance(param, click.Option)
        for spelling in param.opts
    }
    return known.get


def _good(word: str) -> str:
    return click.style(word, fg="green", bold=True)


def _bad(word: str) -> str:
    return click.style(word, fg="red", bold=True)
