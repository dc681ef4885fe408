"""A log file that is reopened when it was rotated away, and that only its owner may read.

Lines of a worker show arguments' and results' beginnings, which may be secret. Whoever wants the file readable for a
group sets a umask for the worker (`--umask 027`): then that alone decides.
"""

import logging
import os
from io import TextIOWrapper

PRIVATE = 0o600
SHARED = 0o666
"""What a umask is taken from."""


class LogFile(logging.FileHandler):
    """`mode` is what a file that it makes may be read and written by; raises OSError when it cannot be opened.

    (The standard library's WatchedFileHandler does the same with any mode; its module loads sockets and pickle, which
    a client has no use for.)
    """

    def __init__(self, path: str, *, permissions: int = PRIVATE) -> None:
        self._permissions = permissions
        self._identity = (0, 0)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_current():
            self._reopen()
        super().emit(record)

    def _open(self) -> TextIOWrapper:
        stream = open(  # noqa: SIM115  (it stays open until it is rotated)
            self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=self._opener
        )
        status = os.fstat(stream.fileno())
        self._identity = (status.st_dev, status.st_ino)
        return stream

    def _opener(self, path: str, flags: int) -> int:
        return os.open(path, flags, self._permissions)

    def _is_current(self) -> bool:
        try:
            status = os.stat(self.baseFilename)
        except OSError:
            return False
        return self._identity == (status.st_dev, status.st_ino)

    def _reopen(self) -> None:
        """Open the path again; while that fails (its directory has gone), go on with the file there is."""
        try:
            fresh = self._open()
        except OSError:
            return
        old, self.stream = self.stream, fresh
        if old is not None:
            old.close()
