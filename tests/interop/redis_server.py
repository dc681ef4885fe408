"""A Redis of the tests' own, on a free port: nothing that a test does there can touch another's."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASES = 512


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """Its URL without a database; it keeps nothing on disk unless the options say so."""
    port = port or free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--databases", str(DATABASES)]
    with subprocess.Popen(
        [*command, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            raise AssertionError("Redis did not start: " + "".join(said))
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.communicate(timeout=10)
