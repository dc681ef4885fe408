"""What a rate such as `10/m` means, and one token bucket with exact arithmetic."""

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction

SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:/([smhd]))?", re.ASCII)


def parse_rate(rate: str | float | None) -> float:
    if rate is None or (isinstance(rate, str) and not rate.strip(" \t\n\f\r")):
        return 0.0
    if isinstance(rate, bool):
        raise ValueError(rate)
    if isinstance(rate, str):
        found = RATE.fullmatch(rate.strip(" \t\n\f\r"))
        if not found:
            raise ValueError(rate)
        rate = float(found[1]) / SECONDS[found[2]]
    if not math.isfinite(rate) or rate < 0:
        raise ValueError(rate)
    return float(rate)


@dataclass
class Bucket:
    """Tokens as a fraction: at most 1, less than 0 while more are booked than there are."""

    rate: Fraction
    seen: Fraction
    tokens: Fraction = field(default=Fraction(1))

    def look(self, now: float) -> None:
        moment = max(self.seen, Fraction(now))
        if self.rate:
            self.tokens = min(Fraction(1), self.tokens + (moment - self.seen) * self.rate)
        self.seen = moment

    def set(self, rate: float, now: float) -> None:
        self.look(now)
        self.rate = Fraction(rate)

    def take(self, now: float) -> float:
        self.look(now)
        if not self.rate:
            return 0.0
        if self.tokens < 1:
            return float((1 - self.tokens) / self.rate)
        self.tokens -= 1
        return 0.0

    def book(self, now: float) -> float:
        self.look(now)
        if not self.rate:
            return float(self.seen)
        due = self.seen + max(Fraction(0), (1 - self.tokens) / self.rate)
        self.tokens -= 1
        return float(due)
