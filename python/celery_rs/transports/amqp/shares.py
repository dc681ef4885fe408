"""How many messages each of several queues pushes, where so many are wanted of all together (pure).

The broker counts for each subscription by itself. So every queue gets a share; and when one could give more than that
while the others have little, each may give all that is wanted.
"""

import math
from collections import Counter, deque
from collections.abc import Set

_EXACT = 8
"""Up to so many, exactly what is wanted is pushed; above, each queue's share is so many at least."""
_STEP = 4
"""Above, the number grows by this factor: a busy broker takes milliseconds to begin a subscription anew."""
_ENOUGH = 16
"""It falls once it is so many times what is wanted."""
_MOST = 0xFFFF
"""What has room in a Basic.Qos."""
_RECENT = 512
_FEW = 4
"""One queue of which the last messages came to such a part is alone busy, or one of few."""
FULL_S = 0.5
"""So long a queue may have its share in hand, and the worker room for more."""


def prefetch_of(wanted: int, queues: int) -> int:
    """How many messages each of so many queues pushes, where `wanted` are wanted of all together."""
    if wanted <= _EXACT:
        return wanted
    prefetch = _EXACT
    while prefetch * max(queues, 1) < wanted:
        prefetch *= _STEP
    return min(prefetch, _MOST)


def may_stay(prefetch: int, wanted: int) -> bool:
    """Whether queues may go on to push so many, though their share is less: to change it has its price."""
    return wanted > _EXACT and prefetch < wanted * _ENOUGH


class Shares:
    """Whether the shares of now keep a queue from giving what is wanted. Times are monotonic."""

    def __init__(self) -> None:
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._full: Set[str] = frozenset()
        self._since = 0.0

    def begin(self) -> None:
        """The shares are others from now on."""
        self._recent.clear()
        self._full = frozenset()

    def arrived(self, queue: str) -> None:
        """A message came from there."""
        self._recent.append(queue)

    @property
    def are_one_sided(self) -> bool:
        """Whether one queue has given much of what came since these shares began."""
        recent = tuple(self._recent)
        return len(recent) == _RECENT and max(Counter(recent).values()) * _FEW >= _RECENT

    def look(self, full: Set[str], now: float) -> float:
        """When it is too long that one of these had its share in hand at each look; infinite if none of them has."""
        stays = self._full & full
        if not stays:
            stays, self._since = full, now
        self._full = stays
        return self._since + FULL_S if stays else math.inf
