"""A logical clock: it says which of two control messages was sent knowing of the other.

Every message carries its sender's time; who hears one goes on from the later of the two (Lamport, 1978).
"""

import threading


class LamportClock:
    """Any thread. `value` is the time of the last thing that was said or heard."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._lock = threading.Lock()

    def forward(self) -> int:
        """Something is said: the time to say it with."""
        with self._lock:
            self.value += 1
            return self.value

    def adjust(self, other: int) -> int:
        """Something said at the time `other` was heard; returns the time now."""
        with self._lock:
            self.value = max(self.value, other) + 1
            return self.value

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"<LamportClock: {self.value}>"
