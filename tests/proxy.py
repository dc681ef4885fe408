"""Between a program and its broker: a proxy of a test's own that loses replies, cuts connections, or lets them hang.

It carries bytes and knows nothing of them but the words that it is told to look for.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_CHUNK = 1 << 16


class Proxy:
    """Listens on `url`. Threads of its own; any thread may call it."""

    def __init__(self, url: str) -> None:
        """`url` is a broker's on this machine, with its port."""
        port = urlsplit(url).port
        assert port is not None
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{port}", f":{self._listening.getsockname()[1]}")
        self.swallowed = 0
        """How many replies have been lost."""
        self._carried: list[_Carried] = []
        self._word: bytes | None = None
        self._every = 0
        self.reaches = True
        self._met = 0
        self._changing = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self, word: bytes | None, every: int = 1, *, reaches: bool = True) -> None:
        """Of every so many requests that contain the word: have it carried out, lose its reply, cut the connection.

        One that does not reach the server is lost itself.
        """
        self._word, self._every, self.reaches = word, every, reaches

    def cut(self) -> None:
        """End all connections."""
        with self._changing:
            carried, self._carried = self._carried, []
        for each in carried:
            each.end()

    def stall(self) -> None:
        """The connections there are carry nothing any more, and nobody is told; new ones work."""
        with self._changing:
            for each in self._carried:
                each.stalled.set()

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def swallows(self, data: bytes) -> bool:
        if self._word is None or self._word not in data:
            return False
        with self._changing:
            self._met += 1
            lost = self._met % self._every == 0
            self.swallowed += lost
        return lost

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                carried = _Carried(self, client, server)
                with self._changing:
                    self._carried = [each for each in self._carried if not each.ended.is_set()]
                    self._carried.append(carried)
                with suppress(OSError):  # `cut` may have been quicker
                    carried.start()


class _Carried:
    """One connection: two sockets, and a thread for each way."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._swallows = False
        self.stalled = threading.Event()
        self.ended = threading.Event()

    def start(self) -> None:
        for source, way in ((self._client, self._up), (self._server, self._down)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(source, way), daemon=True).start()

    def end(self) -> None:
        self.ended.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _carry(self, source: socket.socket, way: Callable[[bytes], None]) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if self._hangs():
                    return
                way(data)
        if not self._hangs():
            self.end()

    def _hangs(self) -> bool:
        """Until somebody ends it: what came after the stall never arrives."""
        return self.stalled.is_set() and self.ended.wait()

    def _up(self, data: bytes) -> None:
        # Before it is sent: its reply is on its way at once.
        self._swallows = self._proxy.swallows(data)
        if self._swallows and not self._proxy.reaches:
            self.end()
        else:
            self._server.sendall(data)

    def _down(self, data: bytes) -> None:
        if self._swallows:
            self.end()
        else:
            self._client.sendall(data)


@contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
