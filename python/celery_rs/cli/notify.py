"""Tell systemd that a service is ready: one datagram to the socket that it names (`Type=notify`)."""

import os
import socket
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def tell_ready(status: str) -> None:
    """Say that this process is ready, and what it does; nothing where nobody asked.

    The variable goes with it, so that no process of a task speaks for this one.
    """
    path = os.environ.pop(VARIABLE, None)
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line, suppress(OSError):
        line.sendto(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}".encode(), address)
