"""End a wait for a connection from another thread."""

import socket
from contextlib import suppress


class Bell:
    """To be waited for beside other files. Any thread may ring; who waits is one."""

    def __init__(self) -> None:
        self._ear, self._clapper = socket.socketpair()
        for end in (self._ear, self._clapper):
            end.setblocking(False)

    def fileno(self) -> int:
        """Readable when it has rung."""
        return self._ear.fileno()

    def ring(self) -> None:
        with suppress(OSError):  # full: it has rung already; closed: nobody waits
            self._clapper.send(b"!")

    def silence(self) -> None:
        """It has been heard."""
        with suppress(OSError):
            while self._ear.recv(256):
                pass

    def close(self) -> None:
        self._ear.close()
        self._clapper.close()
