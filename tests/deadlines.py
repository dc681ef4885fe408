"""How long tests wait for what must happen: one deadline for all, since it costs time only where something is broken.

It bears a machine that is slow and does other things as well. A test waits less only where a short time is what it is
about, and says so. (pytest's own limit for a whole test, in pyproject.toml, is several of these.)
"""

import time
from collections.abc import Callable

DEADLINE_S = 120.0
SOON_S = 30.0
"""For what would wait for ever, or to the end of a deadline, if it did not do what it is tested for."""


def eventually(holds: Callable[[], object], why: Callable[[], object] = str, *, seconds: float = DEADLINE_S) -> None:
    """Wait until it holds; fail, and say why, after `seconds`. For files and foreign processes, which give no event."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if holds():
            return
        now = time.monotonic()
        assert now < deadline, f"it did not come to hold in time {why()}".rstrip()
        time.sleep(max(0.005, now - began))  # what is costly to ask is asked less often
