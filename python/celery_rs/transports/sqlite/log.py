"""How long the write-ahead log is, read from the log itself.

The file keeps its size when SQLite starts it anew, so the size says nothing. But every frame repeats the salts of the
header under which it was written: frame `n` belongs to the present log if and only if its salts are the header's
(https://www.sqlite.org/fileformat2.html#the_write_ahead_log). SQLite keeps no locks on this file, so it may be
opened and closed beside it.
"""

import os
from pathlib import Path

_HEADER = 32
_FRAME_HEADER = 24


def is_longer_than(pages: int, database: Path) -> bool:
    """Whether the log holds more than `pages` pages."""
    try:
        log = os.open(f"{database}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        header = os.pread(log, _HEADER, 0)
        page = int.from_bytes(header[8:12], "big")
        frame = os.pread(log, _FRAME_HEADER, _HEADER + pages * (page + _FRAME_HEADER))
    finally:
        os.close(log)
    return len(frame) == _FRAME_HEADER and frame[8:16] == header[16:24]
