"""Wake a process that waits: a datagram to the socket it has listed in the database.

A datagram is only a hint. Whoever waits looks at the database when it comes, and every so often without one; so a lost
one costs time, never a message. Who sends learns from a refusal that the listener is gone.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from celery_rs.errors import ImproperlyConfigured, OperationalError
from celery_rs.transports.sqlite.files import mode_inside

if TYPE_CHECKING:
    from celery_rs.transports.sqlite.database import Transaction

NET_S = 0.5
"""How long anybody waits before it looks without having been woken."""

_LONGEST_ADDRESS = 100
_LARGEST = 32_768
SUFFIX = ".sock"


class Ring(NamedTuple):
    """A datagram to send once the transaction is committed; `instead` runs in a new one when nobody listens."""

    address: str
    instead: "Callable[[Transaction], None]"
    payload: bytes = b""


class Doors:
    """The directory of sockets. Addresses are file names in it, so the database may be named by different paths."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.mode = mode_inside(directory)
        self._place = str(directory)
        self._descriptor: int | None = None
        self._sender: socket.socket | None = None
        if len(self._place) > _LONGEST_ADDRESS - 40:
            # A socket's path must fit into 108 bytes; by way of an open directory every path does.
            if not os.path.isdir("/proc/self/fd"):
                raise ImproperlyConfigured(
                    f"expected a shorter path for the database, {self._place!r} leaves no room for its sockets' names; "
                    "move it up in the tree"
                )
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._place = f"/proc/self/fd/{self._descriptor}"

    def path(self, address: str) -> str:
        return f"{self._place}/{address}"

    def send(self, ring: Ring) -> bool:
        """False when nobody listens there any more."""
        if self._sender is None:
            self._sender = _datagram()
        try:
            self._sender.sendto(ring.payload if len(ring.payload) <= _LARGEST else b"", self.path(ring.address))
        except (BlockingIOError, PermissionError):
            return True  # a full socket has woken its owner long ago; a foreign one has its net
        except OSError:
            return False
        return True

    def remove(self, address: str) -> None:
        """Take away the socket of a process that is dead."""
        (self._directory / address).unlink(missing_ok=True)

    def answers(self, address: str) -> bool:
        with _datagram() as probe:
            try:
                probe.connect(self.path(address))
            except OSError:
                return False
        return True

    def forget(self) -> None:
        """Close our copies of what a fork has doubled; the other process keeps its own."""
        if self._sender is not None:
            self._sender.close()
        if self._descriptor is not None:
            os.close(self._descriptor)


class Bell:
    """A socket of our own to wait at."""

    def __init__(self, doors: Doors, name: str) -> None:
        self.address = name + SUFFIX
        self._path = doors.path(self.address)
        try:
            self._socket = _datagram()
            try:
                self._socket.bind(self._path)
                os.chmod(self._path, doors.mode)
            except BaseException:
                self._socket.close()
                raise
        except OSError as error:
            raise OperationalError(
                f"socket {self._path!r} of the database cannot be made ({error.strerror}); "
                "let this user write beside the database, where there must be room"
            ) from error

    def wait(self, timeout: float) -> list[bytes]:
        """What came within `timeout` seconds, everything that lies there; empty when nothing did."""
        heard: list[bytes] = []
        try:
            self._socket.settimeout(max(timeout, 0.0))
            heard.append(self._socket.recv(_LARGEST))
            self._socket.settimeout(0.0)
            while True:
                heard.append(self._socket.recv(_LARGEST))
        except (TimeoutError, BlockingIOError):
            return heard

    def ring(self) -> None:
        """Wake whoever waits here; any thread."""
        with _datagram() as sender:
            try:
                sender.sendto(b"", self._path)
            except OSError:
                pass  # full: it wakes anyway; closed: nobody waits

    def close(self) -> None:
        self._socket.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass

    def forget(self) -> None:
        self._socket.close()


def _datagram() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
