"""How many of some jobs each child gets (pure)."""

import math
from collections.abc import Iterator, Sequence


def shares(jobs: int, rooms: Sequence[int], least: int) -> Iterator[int]:
    """So many for the first, the second… until all have room: evenly, but none fewer than `least` if it can be."""
    elsewhere = sum(rooms)
    for position, room in enumerate(rooms):
        if not jobs:
            return
        elsewhere -= room
        even = math.ceil(jobs / (len(rooms) - position))
        share = min(room, max(even, least, jobs - elsewhere), jobs)
        yield share
        jobs -= share
