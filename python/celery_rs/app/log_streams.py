"""What tasks print becomes lines of the log: a stand-in for sys.stdout and sys.stderr.

It is safe where a handler of the log itself writes to sys.stderr: a thread that is already logging writes to the
stream beneath. What has no line feed yet waits for it, in the thread that wrote it, or for `flush`.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any, BinaryIO, TextIO, cast

_LONGEST = 8192
"""Characters after which a line without an end becomes a line of the log all the same."""


class _Rest(threading.local):
    text = ""


class _Here(threading.local):
    logs = False


_here = _Here()
"""Whether this thread is logging what was printed, by any proxy: what it prints then goes to the stream beneath."""


class LoggingProxy:
    """A text stream whose lines are logged at `loglevel`. `beneath` is the stream that it takes the place of."""

    mode = "w"
    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = True
    closed = False

    def __init__(self, logger: logging.Logger, loglevel: int = logging.WARNING, beneath: TextIO | None = None) -> None:
        self.logger = logger
        self.loglevel = loglevel
        self._beneath = sys.__stderr__ if beneath is None else beneath
        self._rest = _Rest()

    def write(self, text: str) -> int:
        """Log every line that is whole; the number of characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() expects a string, got {type(text).__name__}")
        if _here.logs:
            if self._beneath is not None:
                self._beneath.write(text)
            return len(text)
        *lines, rest = (self._rest.text + text).split("\n")
        if len(rest) > _LONGEST:
            lines.append(rest)
            rest = ""
        self._rest.text = rest
        self._log(lines)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Log what this thread has written since its last line feed."""
        if not _here.logs:
            rest, self._rest.text = self._rest.text, ""
            self._log([rest])
        if self._beneath is not None:
            self._beneath.flush()

    def close(self) -> None:
        """Nothing is closed: other code goes on writing here."""
        self.flush()

    def isatty(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def fileno(self) -> int:
        """Of the stream beneath: what writes to the file itself (faulthandler, a subprocess) is not logged.

        Raises OSError when there is none.
        """
        if self._beneath is None:
            raise OSError("this process has no such stream")
        return self._beneath.fileno()

    @property
    def name(self) -> str:
        return f"<{self.logger.name}>"

    @property
    def buffer(self) -> BinaryIO:
        """Of the stream beneath; bytes are not logged."""
        if self._beneath is None:
            raise OSError("this process has no such stream")
        buffer: Any = self._beneath.buffer  # of whatever stream the program has put there
        return cast(BinaryIO, buffer)

    def __enter__(self) -> "LoggingProxy":
        return self

    def __exit__(self, *_: Any) -> None:
        self.flush()

    def _log(self, lines: Iterable[str]) -> None:
        _here.logs = True
        try:
            for line in lines:
                if line and not line.isspace():
                    self.logger.log(self.loglevel, "%s", line)
        finally:
            _here.logs = False
