"""Result stores that stand alone: worlds without a broker."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from celery_rs.backends import ResultBackend
from celery_rs.transports.faults import Clock
from tests.conformance.promises import PROMISES, Promise

_OF_STORES: frozenset[Promise] = frozenset({"store", "chords", "clock", "extended", "failures expire alone"})
NO_BROKER: Mapping[Promise, str] = MappingProxyType(
    {promise: "there is no broker" for promise in PROMISES if promise not in _OF_STORES}
)


class StoreWorld:
    """A result store by itself. A subclass opens it, with this world's `clock` for its own."""

    lacks: Mapping[Promise, str] = NO_BROKER
    shared_by_processes = True

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self._opened: list[ResultBackend] = []

    def backend(self, expires: float | None = 86_400.0, failure_expires: float | None = None) -> ResultBackend:
        """As another process opens it."""
        backend = self.open(expires, failure_expires)
        self._opened.append(backend)
        return backend

    def open(self, expires: float | None, failure_expires: float | None) -> ResultBackend:
        raise NotImplementedError

    def now(self) -> float:
        return self.clock()

    def pass_time(self, seconds: float) -> None:
        self.clock.jump(seconds)

    def close(self) -> None:
        for backend in self._opened:
            backend.close()


def lacking(reasons: Mapping[Promise, str]) -> Mapping[Promise, str]:
    """What such a store lacks, and why."""
    return MappingProxyType({**NO_BROKER, **reasons})
