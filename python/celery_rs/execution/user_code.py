"""The call into the user's code, and whether it is going on.

A soft time limit is a signal, and a signal may arrive between any two instructions. Its handler may raise only while
`in_user_code()` is true; `call` makes sure that whatever is raised then, also on the very edge, is caught.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

_inside = False


Ended = tuple[Any, BaseException | None]
"""What a call returned, and the exception it raised: one of them."""

Function = TypeVar("Function", bound=Callable[..., Any])


def does_nothing(function: Function) -> Function:
    """Mark a default that there is no need to call, as the hooks of a task are that nobody has overridden."""
    function.does_nothing = True  # type: ignore[attr-defined]  # a mark on a function
    return function


def is_idle(function: Callable[..., Any]) -> bool:
    """Whether it is marked so."""
    return getattr(function, "does_nothing", False) is True


def in_user_code() -> bool:
    """Whether the user's function runs now, in this process."""
    return _inside


def call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Ended:
    """Call it. Never raises: SystemExit and KeyboardInterrupt of a task are its failure, not the process's end."""
    global _inside
    try:
        try:
            _inside = True
            value = function(*args, **kwargs)
        finally:
            _inside = False
    except BaseException as error:  # noqa: BLE001  (a task may raise anything)
        # The signal may have come inside `finally`, before the flag fell.
        _inside = False
        return None, error
    return value, None
