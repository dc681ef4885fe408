"""What is called when a result becomes ready: `result.then(callback)`."""

import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("celery_rs.results")

Callback = Callable[[Any], object]


class Promise:
    """Any thread. Each callback is called once, with the result: at once where that is ready, else when it is."""

    def __init__(self) -> None:
        self.ready = False
        self.value: Any = None
        self.reason: BaseException | None = None
        self._callbacks: list[tuple[Callback | None, Callback | None]] = []
        self._lock = threading.Lock()

    def then(self, callback: Callback | None, on_error: Callback | None = None) -> "Promise":
        """Call `callback` with the result, or `on_error` with what it raises, or what `throw` was given."""
        with self._lock:
            if not self.ready:
                self._callbacks.append((callback, on_error))
                return self
        self._call(callback, on_error)
        return self

    def __call__(self, value: Any) -> None:
        """It is ready."""
        self._settle(value, None)

    def throw(self, reason: BaseException) -> None:
        """It will never be ready."""
        self._settle(None, reason)

    def _settle(self, value: Any, reason: BaseException | None) -> None:
        with self._lock:
            if self.ready:
                return
            self.ready, self.value, self.reason = True, value, reason
            callbacks, self._callbacks = self._callbacks, []
        for callback, on_error in callbacks:
            self._call(callback, on_error)

    def _call(self, callback: Callback | None, on_error: Callback | None) -> None:
        reason = self.reason
        if reason is None and callback is not None:
            try:
                callback(self.value)
            except Exception as error:  # a user's; nobody above could do anything about it
                if on_error is None:
                    log.exception("a callback of the result %s raised", self.value)
                reason = error
        if reason is not None and on_error is not None:
            try:
                on_error(reason)
            except Exception:
                log.exception("the handler of an error of a result raised")
