"""Where a run is: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TextIO

from bench.plan import Turn

_WIDTH = 24
_GUESS = 8.0
_CLEAR = "\r\033[K"


def seconds_left(todo: Sequence[Turn], took: Mapping[tuple[int, str], float]) -> float:
    """What the turns will take, from what a contestant's last turn in a section took.

    Who has not had one there takes what the others took; where nobody has had one, what all turns took so far.
    """
    overall = _mean(took.values(), _GUESS)
    others = {
        section: _mean((seconds for (at, _), seconds in took.items() if at == section), overall)
        for section in {turn.section for turn in todo}
    }
    return sum(took.get((turn.section, turn.contestant), others[turn.section]) for turn in todo)


def in_words(seconds: float) -> str:
    """A rough stretch of time."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Progress:
    """Says what runs and what came of it."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._bar = self._out.isatty()

    def running(self, done: int, total: int, left: float, what: str) -> None:
        """A turn begins; nothing is said of it where no line can be taken back."""
        if self._bar:
            full = _WIDTH * done // max(1, total)
            bar = "█" * full + "░" * (_WIDTH - full)
            self._write(f"{_CLEAR}{bar} {done}/{total}, about {in_words(left)} left: {what}")

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write(f"{_CLEAR if self._bar else ''}[bench] {text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _mean(values: Iterable[float], default: float) -> float:
    known = list(values)
    return fmean(known) if known else default
