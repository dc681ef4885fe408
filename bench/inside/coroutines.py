"""What asyncio's queues need: coroutines where the bodies are plain functions, and plain calls of their coroutines.

A body that is over at once runs on the event loop, and so does a nap, which lets the others run: that is what such a
queue is for. One that computes would hold everything up: it stays a plain function, for the queue's own threads.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any

from bench.inside.tasks import slept

try:
    import uvloop  # type: ignore[import-not-found]
except ImportError:
    uvloop = asyncio

COMPUTES = "bench.burn"
_NAPS = "bench.nap"
_AT_ONCE = 100
"""As many calls in flight as a pool of connections bears."""


def on_the_loop(name: str, body: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The body of the task of that name as a coroutine."""
    if name == _NAPS:
        return _nap

    @wraps(body)
    async def run(*args: Any, **named: Any) -> Any:
        return body(*args, **named)

    return run


async def _nap(seconds: float) -> None:
    began = time.monotonic_ns()
    await asyncio.sleep(seconds)
    slept(began)


class Loop:
    """One event loop for the whole life of a client, which calls it from plain code."""

    def __init__(self) -> None:
        self._loop: Any = None

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Its result."""
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(awaitable)

    def run_many(self, call: Callable[[Any], Awaitable[Any]], over: Sequence[Any]) -> Iterator[Any]:
        """`call` for each, a hundred at once; their results, in the same order."""
        for start in range(0, len(over), _AT_ONCE):
            yield from self.run(_together(map(call, over[start : start + _AT_ONCE])))

    def get_many(
        self, wait: Callable[[Any, float], Awaitable[Any]], over: Sequence[Any], timeout: float
    ) -> Iterator[Any]:
        """The same for `wait(each, seconds)`, as far as they come in time."""
        until = time.monotonic() + timeout
        try:
            yield from self.run_many(lambda each: wait(each, max(0.001, until - time.monotonic())), over)
        except TimeoutError:
            return


async def _together(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*calls)
