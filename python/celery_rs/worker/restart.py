"""Start anew in the same process (SIGHUP): new code, the same pid, arguments, terminal and environment."""

import atexit
import os
import signal
import sys


def can_restart() -> bool:
    """A worker on a terminal ends with it: SIGHUP then means that the terminal was closed."""
    return sys.platform != "darwin" and sys.stdout is not None and not sys.stdout.isatty()


def restart_at_exit() -> None:
    """Have this interpreter replaced once everything else has ended.

    Until the new worker hears signals, it hears of no other restart, and nobody kills it by asking where it is stuck:
    what is ignored stays so in the program that follows.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    atexit.register(_restart)


def _restart() -> None:
    # The last to register is called first, and nobody is called after it: what others want at the end comes here.
    atexit.unregister(_restart)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    # `orig_argv` and not `argv`: `python -m proj` must not become `python proj/__main__.py`, with another sys.path.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
