"""One of those who wait reads for all, and hands its place on when it has what it came for.

So who waits alone is told without a hand-off between threads, which a thread that reads for all would need.
"""

import threading
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

N = TypeVar("N")


class Waiter(Generic[N]):
    """One who waits, and what it has been told and has not taken yet."""

    def __init__(self) -> None:
        self.news: SimpleQueue[N | Exception | None] = SimpleQueue()
        """None: it is your turn to read."""

    def take(self) -> list[N]:
        """What has been heard. Raises what has made waiting senseless."""
        found: list[N] = []
        while not self.news.empty():
            news = self.news.get()
            if isinstance(news, Exception):
                raise news
            if news is not None:
                found.append(news)
        return found

    def stand(self, left: float | None) -> None:
        """Wait for anything at all, at most so many seconds."""
        try:
            news = self.news.get(timeout=left)
        except Empty:
            return
        self.news.put(news)  # it is alone in there, or what comes behind it may come before it


class Turns(Generic[N]):
    """Who reads. Any thread; `lock` is the one under which its owner keeps everything else."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._standing: dict[Waiter[N], None] = {}
        """Those whom the reader tells, in the order of coming."""
        self.reader: Waiter[N] | None = None

    @property
    def any_stand(self) -> bool:
        return bool(self._standing)

    def reads(self, waiter: Waiter[N]) -> bool:
        """Whether it reads from now on; else it stands."""
        with self._lock:
            if self.reader is None or self.reader is waiter:
                self.reader = waiter
                return True
            self._standing[waiter] = None
            return False

    def reads_if_free(self, waiter: Waiter[N]) -> bool:
        """The same, but it does not stand."""
        with self._lock:
            if self.reader is not None:
                return False
            self.reader = waiter
            return True

    def hand_on(self, waiter: Waiter[N]) -> None:
        """It stops reading or standing; somebody else reads from now on."""
        with self._lock:
            self._standing.pop(waiter, None)
            if self.reader is waiter:
                self.reader = next(iter(self._standing), None)
                if self.reader is not None:
                    del self._standing[self.reader]
                    self.reader.news.put(None)
