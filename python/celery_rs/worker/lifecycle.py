"""The phases of a worker's life, and which signal leads to which (pure).

    STARTING ─▶ RUNNING ─▶ DRAINING ─▶ SOFT ─▶ STOPPING ─▶ STOPPED
                    └────── QUIT ───────▲─────────▲

Draining waits for what runs (warm shutdown), soft waits too, but not for ever, stopping kills it (cold). A signal
that is repeated while the worker is stopping ends it there and then: `abandoned`. Losing the broker is no phase.
"""

import math
import signal
from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

Manner = Literal["Warm", "Cold"]
"""How a signal asks a worker to stop: what `worker_shutting_down` calls it."""

SIGTERM_IS = "REMAP_SIGTERM"
"""The environment variable that may say SIGQUIT: then SIGTERM is one."""


class Phase(IntEnum):
    """Ordered: a worker never goes back."""

    STARTING = 0
    RUNNING = 1
    DRAINING = 2
    SOFT = 3
    STOPPING = 4
    STOPPED = 5


class Lifecycle:
    """Where the worker is, and the exit code it will leave with.

    `soft_timeout` is `worker_soft_shutdown_timeout` in seconds, 0 for none; `soft_on_idle` waits although nothing runs;
    `terminate_is_quit` takes SIGTERM for SIGQUIT.
    """

    def __init__(
        self, *, soft_timeout: float = 0.0, soft_on_idle: bool = False, terminate_is_quit: bool = False
    ) -> None:
        self.phase = Phase.STARTING
        self.exit_code = 0
        self.abandoned = False
        self.again = False
        """Start anew once this worker has ended (SIGHUP)."""
        self.soft_timeout = soft_timeout
        self.soft_until = math.inf
        self._soft_on_idle = soft_on_idle
        self._terminate_is_quit = terminate_is_quit

    def started(self) -> None:
        self._advance(Phase.RUNNING)

    def manner(self, number: int) -> Manner | None:
        """How this signal asks to stop; None: it does not, or it changes nothing any more."""
        if self._is_quit(number):
            return "Cold" if self.phase < Phase.STOPPING else None
        return "Warm" if number in (signal.SIGTERM, signal.SIGINT) and self.phase < Phase.DRAINING else None

    def signalled(self, number: int, *, busy: bool = True, now: float = 0.0) -> Phase:
        """The phase after this signal; `busy` says whether tasks run, `now` is monotonic seconds."""
        if self._is_quit(number):
            self._quit(busy, now)
        elif number == signal.SIGTERM:
            self._advance(Phase.DRAINING)
        elif number == signal.SIGINT:
            self.exit_code = 1
            self._advance(Phase.DRAINING)
        elif number == signal.SIGHUP:
            self.again = self.again or self.phase < Phase.DRAINING
            self._advance(Phase.DRAINING)
        return self.phase

    def passed(self, now: float) -> None:
        """Time goes by: a soft shutdown that has lasted long enough turns cold."""
        if self.phase == Phase.SOFT and now >= self.soft_until:
            self._advance(Phase.STOPPING)

    def asked_to_stop(self) -> None:
        """A warm shutdown on request."""
        self._advance(Phase.DRAINING)

    def broken(self) -> None:
        """The pool is gone: nothing can be waited for."""
        self.exit_code = 1
        self._advance(Phase.STOPPING)

    def idle(self, now: float = math.inf) -> None:
        """Nothing runs: the end, once a stop was asked for."""
        if self.phase == Phase.SOFT and self._soft_on_idle and now < self.soft_until:
            return
        if self.phase >= Phase.DRAINING:
            self._advance(Phase.STOPPED)

    def _is_quit(self, number: int) -> bool:
        """SIGQUIT, and what stands for it: a second SIGINT, and SIGTERM where the environment says so."""
        if number == signal.SIGTERM:
            return self._terminate_is_quit
        return number == signal.SIGQUIT or (number == signal.SIGINT and self.phase >= Phase.DRAINING)

    def _quit(self, busy: bool, now: float) -> None:
        self.exit_code = 1
        self.again = False
        if self.phase >= Phase.STOPPING:
            self.abandoned = True
            self._advance(Phase.STOPPED)
        elif self.phase < Phase.SOFT and self.soft_timeout > 0 and (busy or self._soft_on_idle):
            self.soft_until = now + self.soft_timeout
            self._advance(Phase.SOFT)
        else:
            self._advance(Phase.STOPPING)

    def _advance(self, phase: Phase) -> None:
        self.phase = max(self.phase, phase)


def terminate_is_quit(environment: Mapping[str, str]) -> bool:
    """Whether SIGTERM is to be taken for SIGQUIT."""
    return environment.get(SIGTERM_IS) == "SIGQUIT"
