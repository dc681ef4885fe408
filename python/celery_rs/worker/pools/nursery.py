"""The nursery: a process that does nothing but fork children, send them signals and report their deaths.

It is forked before the worker has threads and stays as it was then, so that replacements are forked from a clean,
single-threaded process. Only it may signal a child: as their parent it knows which pids it has not reaped yet, and
those cannot have been reused. It dies with the worker, the children die with it.
"""

import errno
import logging
import os
import select
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, NoReturn

from celery_rs._core import die_with_parent

_ORDER = struct.Struct("<Bii")
_DEATH = struct.Struct("<iii")
_SPAWN, _SIGNAL, _STOP = range(3)
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

logger = logging.getLogger(__name__)


class Death(NamedTuple):
    """A child is no more; `pid` 0: it could not even be forked, and `status` is the error number."""

    slot: int
    pid: int
    status: int

    @property
    def how(self) -> str:
        if not self.pid:
            return f"fork failed: {os.strerror(self.status)}"
        code = os.waitstatus_to_exitcode(self.status)
        return f"exit code {code}" if code >= 0 else f"signal {-code} ({_signal_name(-code)})"


class Nursery:
    """The worker's end of the nursery: gives orders, hears of deaths. Losing it is reported by `deaths`."""

    def __init__(
        self, serve: Callable[[int, socket.socket], None], before_fork: Sequence[Callable[[], None]] = ()
    ) -> None:
        """Fork the nursery; `serve(slot, socket)` is what each child will do.

        `before_fork` is called here before the nursery is forked, and in the nursery before each child is.
        """
        for prepare in before_fork:
            prepare()
        worker = os.getpid()
        self._line, theirs = socket.socketpair()
        self._rest = b""
        _flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the pool itself warns of those, by name
            self.pid = os.fork()
        if not self.pid:
            self._line.close()
            _end_with(lambda: NurseryProcess(theirs, serve, before_fork).live(worker))
        theirs.close()

    def fileno(self) -> int:
        return self._line.fileno()

    def spawn(self, slot: int, pipe: socket.socket) -> None:
        """Fork a child that serves `pipe`; the caller closes its own copy."""
        with suppress(BrokenPipeError, ConnectionResetError):  # its end: `deaths` says so in a moment
            socket.send_fds(self._line, [_ORDER.pack(_SPAWN, slot, 0)], [pipe.fileno()])

    def signal(self, slot: int, signum: int) -> None:
        """Send a signal to the slot's child if it still lives."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(_ORDER.pack(_SIGNAL, slot, signum))

    def deaths(self) -> list[Death] | None:
        """What has died since the last call; None: the nursery itself has. Never waits."""
        try:
            data = self._line.recv(64 * _DEATH.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        data = self._rest + data
        whole = len(data) - len(data) % _DEATH.size
        self._rest = data[whole:]
        return [Death._make(fields) for fields in _DEATH.iter_unpack(data[:whole])]

    def obituary(self) -> str:
        """How the nursery died, as far as the kernel tells."""
        with suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, 0)  # its socket has closed: it is past the point where it could wait
            return Death(-1, self.pid, status).how
        return "unknown cause"

    def stop(self, grace: float) -> None:
        """Let children whose input has ended run out, at most `grace` seconds; then nothing is left of them."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(_ORDER.pack(_STOP, 0, int(grace * 1000)))
        self._line.settimeout(grace + 1.0)
        try:
            while self._line.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:  # stopped by somebody: its children die with it all the same
            os.kill(self.pid, signal.SIGKILL)
        self._line.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class NurseryProcess:
    """The other end; runs in its own process until told to stop or until the worker has died."""

    def __init__(
        self,
        line: socket.socket,
        serve: Callable[[int, socket.socket], None],
        before_fork: Sequence[Callable[[], None]],
    ) -> None:
        self._line = line
        self._serve = serve
        self._before_fork = before_fork
        self._slots: dict[int, int] = {}  # slot → pid
        self._stop_by: float | None = None
        self._woken, self._wake = os.pipe()

    def live(self, worker: int) -> None:
        die_with_parent()
        if os.getppid() != worker:
            return  # it died between the fork and now
        for signum in _IGNORED:
            signal.signal(signum, signal.SIG_IGN)
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is needed for the wake-up to be written
        try:
            self._loop()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the worker died while it was being told something
        finally:
            for slot in self._slots:
                self._signal(slot, signal.SIGKILL)

    def _loop(self) -> None:
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(self._patience_ms())}
            if self._woken in ready:
                os.read(self._woken, 4096)
                for death in self._reap():
                    self._line.sendall(_DEATH.pack(*death))
            if self._line.fileno() in ready and not self._obey():
                return
            if self._stop_by is not None and (not self._slots or monotonic() >= self._stop_by):
                return

    def _patience_ms(self) -> int | None:
        return None if self._stop_by is None else max(0, int((self._stop_by - monotonic()) * 1000) + 1)

    def _obey(self) -> bool:
        """Carry out one order; False when the worker is gone."""
        data, pipes, _, _ = socket.recv_fds(self._line, _ORDER.size, 1)
        if not data:
            return False
        while len(data) < _ORDER.size:
            data += self._line.recv(_ORDER.size - len(data))
        order, slot, value = _ORDER.unpack(data)
        if order == _SPAWN and pipes:
            self._spawn(slot, socket.socket(fileno=pipes[0]))
        elif order == _SPAWN:  # the kernel drops a descriptor for which there is no place
            self._line.sendall(_DEATH.pack(slot, 0, errno.EMFILE))
        elif order == _SIGNAL:
            self._signal(slot, value)
        else:
            self._stop_by = monotonic() + value / 1000
        return True

    def _spawn(self, slot: int, pipe: socket.socket) -> None:
        nursery = os.getpid()
        for prepare in self._before_fork:
            prepare()
        try:
            pid = os.fork()
        except OSError as error:
            self._line.sendall(_DEATH.pack(slot, 0, error.errno or 0))
            pipe.close()
            return
        if not pid:
            _end_with(lambda: self._become_child(nursery, slot, pipe))
        pipe.close()  # nobody but the child may hold its end, or its death would not close it
        self._slots[slot] = pid

    def _become_child(self, nursery: int, slot: int, pipe: socket.socket) -> None:
        _restore_signals()
        self._line.close()
        os.close(self._woken)
        os.close(self._wake)
        die_with_parent()
        if os.getppid() == nursery:
            self._serve(slot, pipe)

    def _signal(self, slot: int, signum: int) -> None:
        pid = self._slots.get(slot)
        if pid is not None:  # not reaped, so the pid is still its own
            os.kill(pid, signum)

    def _reap(self) -> Iterator[Death]:
        while self._slots:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            for slot in [slot for slot, owner in self._slots.items() if owner == pid]:
                del self._slots[slot]
                yield Death(slot, pid, status)


def _restore_signals() -> None:
    """In a new child: no handler of the worker or the nursery, Ctrl-C left to the worker."""
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals():
        if signum in _IGNORED or callable(signal.getsignal(signum)):
            signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with(life: Callable[[], None]) -> NoReturn:
    """Live this life in a forked process, then end it without running what the worker has on its stack."""
    code = 1
    try:
        life()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        logger.critical("pool process %d ends by an error of its own", os.getpid(), exc_info=True)
    finally:
        with suppress(OSError, ValueError):
            _flush()
        os._exit(code & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return "unnamed"
