"""The order in which the servers of a failover list are tried. Pure, but for `shuffle`."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar, cast

from celery_rs.errors import ImproperlyConfigured


class _Place(Protocol):
    @property
    def shown(self) -> str:
        """For people: the URL without secrets."""
        ...


P = TypeVar("P", bound=_Place)


def in_order(places: Sequence[P], strategy: Any) -> list[P]:
    """As written, at random, or as a function of theirs says.

    `strategy` is broker_failover_strategy: round-robin, shuffle, or a function of the list that returns an iterator.
    """
    if strategy in (None, "round-robin"):
        return list(places)
    if strategy == "shuffle":
        return random.sample(places, len(places))
    if not callable(strategy):
        raise ImproperlyConfigured(
            f"broker_failover_strategy must be 'round-robin', 'shuffle' or a function, got {strategy!r}"
        )
    ask = cast("Callable[[list[str]], Iterator[str]]", strategy)  # what else it may be, its answer shows
    chosen = list(dict.fromkeys(islice(ask([place.shown for place in places]), len(places))))
    by_name = {place.shown: place for place in places}
    unknown = [name for name in chosen if name not in by_name]
    if unknown or not chosen:
        raise ImproperlyConfigured(f"broker_failover_strategy must return URLs of the list, got {unknown or chosen!r}")
    return [by_name[name] for name in chosen]
