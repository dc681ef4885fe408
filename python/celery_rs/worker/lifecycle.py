"""The phases of a worker's life, and which signal leads to which (pure).

    STARTING ─▶ RUNNING ─▶ DRAINING ─▶ STOPPING ─▶ STOPPED
                    └────── SIGQUIT ──────▲

Draining waits for what runs (warm shutdown), stopping kills it (cold). Losing the broker is no phase.
"""

import signal
from enum import IntEnum


class Phase(IntEnum):
    """Ordered: a worker never goes back."""

    STARTING = 0
    RUNNING = 1
    DRAINING = 2
    STOPPING = 3
    STOPPED = 4


class Lifecycle:
    """Where the worker is, and the exit code it will leave with."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.exit_code = 0

    def started(self) -> None:
        self._advance(Phase.RUNNING)

    def signalled(self, number: int) -> Phase:
        """The phase after this signal: TERM warm, INT warm then cold, QUIT cold."""
        if number == signal.SIGTERM:
            self._advance(Phase.DRAINING)
        elif number == signal.SIGINT:
            again = self.phase >= Phase.DRAINING
            self.exit_code = 1
            self._advance(Phase.STOPPING if again else Phase.DRAINING)
        elif number == signal.SIGQUIT:
            self.exit_code = 1
            self._advance(Phase.STOPPING)
        return self.phase

    def asked_to_stop(self) -> None:
        """A warm shutdown on request."""
        self._advance(Phase.DRAINING)

    def broken(self) -> None:
        """The pool is gone: nothing can be waited for."""
        self.exit_code = 1
        self._advance(Phase.STOPPING)

    def idle(self) -> None:
        """Nothing runs: the end, once a stop was asked for."""
        if self.phase >= Phase.DRAINING:
            self._advance(Phase.STOPPED)

    def _advance(self, phase: Phase) -> None:
        self.phase = max(self.phase, phase)
