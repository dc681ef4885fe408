"""What the loop waits on besides its inbox: the pool's sockets, each with a callback."""

import selectors
from collections.abc import Callable

LONGEST_S = 3600.0
"""Nobody waits longer at a time: the kernel counts milliseconds in 32 bits, and a token of `1/d` is far away."""


class Watch:
    """Called as `watch(descriptor, readable)`; the answer ends the watching. The loop's thread only."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def __call__(self, descriptor: int, readable: Callable[[], None]) -> Callable[[], None]:
        self._selector.register(descriptor, selectors.EVENT_READ, readable)

        def unwatch() -> None:
            self._selector.unregister(descriptor)

        return unwatch

    def wait(self, timeout: float | None) -> None:
        """Until something is readable or `timeout` seconds have passed, an hour at most; calls what is due."""
        for key, _ in self._selector.select(None if timeout is None else min(timeout, LONGEST_S)):
            # An earlier callback of this turn may have ended the watching of this one.
            if key.fd in self._selector.get_map():
                key.data()

    def close(self) -> None:
        self._selector.close()
