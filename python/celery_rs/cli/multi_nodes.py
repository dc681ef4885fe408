"""The workers that `celery-rs multi` looks after: how each is started, and which process it is.

A node is known by its pid file alone, so stopping it takes the words that started it.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from celery_rs.cli.multi_words import Given, Words, nodes_of, options_for
from celery_rs.cli.nodes import Node, path_for
from celery_rs.cli.output import Failure
from celery_rs.cli.pidfile import is_alive, live_owner

PIDFILE = "%n.pid"
LOGFILE = "%n%I.log"
"""In the working directory (or that of `--workdir`): whoever may start a worker there can write there."""
_COMMAND = "-m celery_rs worker --detach"
_POLL_S = 0.05


class WorkerNode(NamedTuple):
    """One worker: its name, the command that starts it, and where it writes its process id."""

    node: Node
    command: tuple[str, ...]
    pidfile: Path

    def start(self) -> int:
        """Start it in the background; returns when it is ready (0) or has failed: its exit code."""
        return subprocess.run(self.command, stdout=subprocess.DEVNULL, check=False).returncode

    def pid(self) -> int | None:
        """Its process, if there is one. The file of a process that has died is removed. Raises Failure."""
        return live_owner(self.pidfile)

    def send(self, number: signal.Signals) -> int | None:
        """Signal it; the process that got the signal, None when there was none. Raises Failure."""
        found = self.pid()
        if found is not None:
            try:
                os.kill(found, number)
            except ProcessLookupError:
                return None
            except PermissionError:
                raise Failure(
                    f"process {found} of {self.pidfile} is another user's; stop it as that user or as root"
                ) from None
        return found


def wait_until_gone(pids: Sequence[int], tell: Callable[[int], None]) -> None:
    """Wait until none of these processes is left; `tell` is told of each end."""
    left = list(pids)
    while left:
        for pid in [pid for pid in left if not is_alive(pid)]:
            left.remove(pid)
            tell(pid)
        if left:
            time.sleep(_POLL_S)  # they are nobody's children here: no event tells of their ends


def worker_nodes(words: Words, above: click.Command, worker: click.Command) -> list[WorkerNode]:
    """The nodes that the words mean. `above` is the command before `worker`, whose options are put in front.

    Raises ValueError.
    """
    nodes = nodes_of(words)
    before = _spellings(above)
    spellings = before | _spellings(worker)
    made = []
    for index, node in enumerate(nodes):
        chosen = options_for(index, nodes, words, lambda option: spellings.get(option, option))
        values = {spellings.get(option, option): value for option, value in chosen}
        pidfile = values.get("pidfile") or PIDFILE
        if "pidfile" not in values:
            chosen.append(("--pidfile", PIDFILE))
        if "logfile" not in values:
            chosen.append(("--logfile", LOGFILE))
        path = Path(values.get("workdir") or ".") / path_for(node, pidfile)
        made.append(WorkerNode(node, _command(words, node, chosen, before), path))
    return made


def _command(words: Words, node: Node, chosen: Sequence[Given], before: Collection[str]) -> tuple[str, ...]:
    in_front = [word for given in chosen if given[0] in before for word in _written(given)]
    behind = [word for given in chosen if given[0] not in before for word in _written(given)]
    start = shlex.split(words.own.get("--cmd") or _COMMAND)
    place = start.index("worker") if "worker" in start else len(start)
    return (
        words.own.get("--executable") or sys.executable,
        *start[:place],
        *in_front,
        *start[place:],
        *behind,
        "-n",
        str(node).replace("%", "%%"),
        *words.settings,
        *shlex.split(words.own.get("--append") or ""),
    )


def _written(given: Given) -> list[str]:
    option, value = given
    if value is None:
        return [option]
    return [f"{option}={value}"] if option.startswith("--") else [option, value]


def _spellings(command: click.Command) -> dict[str, str]:
    """Every spelling of the command's options → the option's name."""
    return {
        spelling: param.name
        for param in command.params
        if isinstance(param, click.Option) and param.name is not None
        for spelling in param.opts
    }
