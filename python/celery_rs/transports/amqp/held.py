"""What of a channel may be acknowledged, and how (pure).

`multiple` acknowledges every lower tag as well, so it is only for a prefix of which nothing is left to do. What lies
beyond the first tag that is still needed is acknowledged one by one.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class Ack(NamedTuple):
    """Acknowledge this delivery, or with `multiple` all up to it."""

    delivery_tag: int
    multiple: bool


class Outstanding:
    """The delivery tags of one channel that are not settled, in the order of their delivery, and their queues."""

    def __init__(self) -> None:
        self._tags: dict[int, str] = {}
        self._highest = 0

    def __len__(self) -> int:
        return len(self._tags)

    def __contains__(self, delivery_tag: int) -> bool:
        return delivery_tag in self._tags

    def queues_with(self, number: int) -> set[str]:
        """Those of which so many are not settled, or more."""
        return {queue for queue, count in Counter(self._tags.values()).items() if count >= number}

    def add(self, delivery_tag: int, queue: str) -> None:
        """Tags of a channel only rise."""
        self._tags[delivery_tag] = queue
        self._highest = max(self._highest, delivery_tag)

    def settle(self, delivery_tags: Iterable[int]) -> list[Ack]:
        """These are done with; tags that are not outstanding are passed over."""
        done = sorted({tag for tag in delivery_tags if tag in self._tags})
        for tag in done:
            del self._tags[tag]
        first = next(iter(self._tags), self._highest + 1)
        prefix = [tag for tag in done if tag < first]
        acks = [Ack(tag, multiple=False) for tag in done if tag > first]
        return [Ack(prefix[-1], multiple=len(prefix) > 1), *acks] if prefix else acks

    def clear(self) -> None:
        """The channel is gone, and its tags with it."""
        self._tags.clear()
        self._highest = 0
