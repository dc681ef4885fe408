"""Into the background: two forks, a session of its own, and word to whoever waits whether it works.

The process that was typed stays until the daemon is ready or has failed, and ends with its exit code. Until then the
daemon keeps the terminal's stdout and stderr, so that what goes wrong is seen; then it lets go of them, as does every
process it forks (the pool's, which are forked before it is ready).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from celery_rs.cli.output import ExitCode, Failure, code_of, print_note
from celery_rs.errors import CeleryError

UMASK = 0o022
"""Of a daemon that was told none."""
LAUNCH = "CELERY_RS_LAUNCH"
"""Tells a process that took its predecessor's place by `exec` which descriptor leads to whoever waits."""
_NOBODY = "-"


class Launch:
    """A process on its way up, and the pipe to whoever waits for it; no pipe where nobody does."""

    def __init__(self, pipe: int | None, *, inherited: bool = False) -> None:
        self._pipe = pipe
        self.inherited = inherited
        """Whether this process is where it belongs already: it took the place of one that was launched."""
        if pipe is not None:
            os.set_inheritable(pipe, False)
            os.register_at_fork(after_in_child=self._let_go)

    @property
    def is_detached(self) -> bool:
        return self._pipe is not None

    def ready(self, line: str) -> None:
        """It works: whoever waits prints the line and goes."""
        self._tell(ExitCode.OK, line)
        self._let_go()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """What is raised inside the block is how it failed."""
        try:
            yield
        except BaseException as error:
            self._tell(_code(error))
            raise

    def pass_on(self, started_in: str) -> None:
        """Let the program that takes this process's place by `exec` be the one that reports; it reads the same words,
        so it starts where this one did."""
        os.environ[LAUNCH] = _NOBODY if self._pipe is None else str(self._pipe)
        if self._pipe is not None:
            os.set_inheritable(self._pipe, True)
        with suppress(OSError):
            os.chdir(started_in)

    def _tell(self, code: int, line: str = "") -> None:
        if self._pipe is not None:
            with suppress(BrokenPipeError):  # interrupted: nobody waits any more
                os.write(self._pipe, f"{int(code)} {line}\n".encode())

    def _let_go(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            _open_nothing_as(0, 1, 2)
            os.close(pipe)


def launch(*, detach: bool) -> Launch:
    """The launch of this process: of its successor in the background, if asked for.

    The caller goes on in the daemon only; whoever waits for it leaves by click's Exit. C_FAKEFORK, if set, keeps
    everything in the foreground, for debugging. Raises Failure when the daemon ends without a word.
    """
    return _inherited() or _begun(detach)


def _inherited() -> Launch | None:
    """The launch that was passed on by `exec`."""
    pipe = os.environ.pop(LAUNCH, None)
    if pipe is None:
        return None
    return Launch(None if pipe == _NOBODY else int(pipe), inherited=True)


def _begun(detach: bool) -> Launch:
    if detach and os.environ.get("C_FAKEFORK"):
        print_note("C_FAKEFORK is set: --detach leaves the process in the foreground")
        return Launch(None)
    return _into_background() if detach else Launch(None)


def _into_background() -> Launch:
    _flush()
    reading, writing = os.pipe()
    first = os.fork()
    if first:
        os.close(writing)
        os.waitpid(first, 0)
        raise click.exceptions.Exit(_wait(reading))
    os.setsid()
    if os.fork():  # a process that leads no session can never get a terminal
        os._exit(0)
    os.umask(UMASK)
    _open_nothing_as(0)
    os.closerange(3, writing)
    os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
    return Launch(writing)


def _wait(reading: int) -> int:
    """Wait for the daemon's word; its exit code."""
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        code, _, line = pipe.readline().rstrip("\n").partition(" ")
        if code == str(int(ExitCode.OK)):
            if line:
                click.echo(line)
            return ExitCode.OK
        pipe.read()  # until it has ended
    if not code:
        raise Failure("the process in the background ended before it was ready; start it without --detach to see why")
    return int(code)


def _code(error: BaseException) -> int:
    if isinstance(error, Failure):
        return error.code
    if isinstance(error, click.exceptions.Exit | click.ClickException):
        return error.exit_code
    return code_of(error) if isinstance(error, CeleryError) else ExitCode.FAILURE


def _open_nothing_as(*descriptors: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    if nothing not in descriptors:
        os.close(nothing)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
