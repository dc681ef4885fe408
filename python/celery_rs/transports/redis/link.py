"""One connection to a Redis: packed commands out, parsed replies in.

Commands are packed by us and replies parsed by hiredis, since a command layer in between would cost more than the
round trip. An answer is waited for awake where that is cheaper than to sleep (`SpinWait`). One thread at a time; a link
whose answer did not come is closed, for nobody knows what it would say next.
"""

import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import hiredis

from celery_rs._core import SpinWait, pack_command
from celery_rs.transports.redis.errors import LinkLost, lost, refusal

Argument = bytes | str | int | float
Command = tuple[Argument, ...]

_CHUNK = 1 << 16


class Link:
    """Raises LinkLost when the connection fails, Refused when the server answers with an error."""

    def __init__(self, dialed: socket.socket, where: str) -> None:
        self._socket = dialed
        self._pid = os.getpid()
        self._reader = hiredis.Reader()
        self._spin = None if isinstance(self._socket, ssl.SSLSocket) else SpinWait()
        self.set_patience(self._socket.gettimeout())
        self._where = where
        self.used_at = time.monotonic()

    def fileno(self) -> int:
        """To be waited on; readable when a reply has come, or the connection has ended."""
        return int(self._socket.fileno())

    def set_patience(self, seconds: float | None) -> None:
        """How long an answer may take from now on.

        The kernel keeps the time where it can: Python would ask it before each read and write whether it is ready.
        """
        self.patience = seconds
        if self._spin is None:
            self._socket.settimeout(seconds)
            return
        self._socket.settimeout(None)
        timeval = struct.pack("ll", *divmod(round((seconds or 0.0) * 1_000_000), 1_000_000))
        for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, side, timeval)

    def has_ended(self) -> bool:
        """Whether the server has closed it, or says something that nobody has asked for."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def silent_for(self) -> float:
        """Seconds since it was last written to, or has answered `replies`."""
        return time.monotonic() - self.used_at

    def post(self, *command: Argument) -> None:
        """Write without waiting for the reply, which `read` brings."""
        self.used_at = time.monotonic()
        self.send(pack_command(*command))

    def send(self, packed: bytes) -> None:
        try:
            self._socket.sendall(packed)
        except OSError as error:
            raise self.lost(error) from None

    def try_send(self, data: bytes) -> None:
        """Write while another thread reads, who will notice a failure."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.shut()

    def read(self) -> Any:
        """The next reply, an error among them. Waits as long as the socket allows."""
        reader = self._reader
        reply = reader.gets()
        while reply is False:
            try:
                data = self._socket.recv(_CHUNK)
            except OSError as error:
                raise self.lost(error) from None
            if not data:
                raise self.lost(ConnectionError("it has closed the connection"))
            reader.feed(data)
            reply = reader.gets()
        return reply

    def arrived(self) -> list[Any]:
        """The replies that have come by now; to be called when it is readable. Raises an error among them."""
        reader = self._reader
        try:
            left = _CHUNK
            while left:
                data = self._socket.recv(left)
                if not data:
                    raise ConnectionError("it has closed the connection")
                reader.feed(data)
                left = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        except OSError as error:
            raise self.lost(error) from None
        found = []
        while (reply := reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(self._where, reply)
            found.append(reply)
        return found

    def answer(self) -> Any:
        """The next reply. Raises an error."""
        reply = self.read()
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(self._where, reply)
        return reply

    def waiting(self) -> Any:
        """A reply that has been read from the socket already; False when there is none."""
        return self._reader.gets()

    def replies(self, packed: bytes, count: int) -> list[Any]:
        """So many commands in one write, so many replies; an error among them is raised after all have been read."""
        self._exchange(packed)
        answers = [self.read() for _ in range(count)]
        self.used_at = time.monotonic()
        self.refuse(answers)
        return answers

    def refuse(self, answers: Sequence[Any]) -> None:
        """Raise the first error among them."""
        for answer in answers:
            if isinstance(answer, hiredis.ReplyError):
                raise refusal(self._where, answer)

    def _exchange(self, packed: bytes) -> None:
        """Write, and wait for the begin of the reply."""
        if self._spin is None:
            self.send(packed)
            return
        try:
            data = self._spin.exchange(self._socket.fileno(), packed)
        except OSError as error:
            raise self.lost(error) from None
        if not data:
            raise self.lost(ConnectionError("it has closed the connection"))
        self._reader.feed(data)

    def call(self, *command: Argument) -> Any:
        return self.replies(pack_command(*command), 1)[0]

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip; not a transaction."""
        return self.replies(packed(commands), len(commands)) if commands else []

    def shut(self) -> None:
        """Let whoever reads notice that it has ended; that thread closes it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Harmless when repeated."""
        if os.getpid() == self._pid:  # else its parent still talks there
            self.shut()
        with suppress(OSError):
            self._socket.close()

    def __del__(self) -> None:
        self._socket.close()

    def lost(self, error: OSError) -> LinkLost:
        """What to raise when it is of no use any more; it is closed."""
        self.close()
        return lost(self._where, TimeoutError() if isinstance(error, BlockingIOError) else error)


def packed(commands: Sequence[Command]) -> bytes:
    """As they are sent."""
    return b"".join([pack_command(*command) for command in commands])


def pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """What a server tells as one list after another."""
    return list(zip(flat[::2], flat[1::2], strict=True))
