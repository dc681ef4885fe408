"""Tracebacks of tasks: the user's frames, not ours."""

import traceback
from types import TracebackType


class ExceptionInfo:
    """What Celery hands to `on_failure` and `on_retry` as `einfo`; its text is the traceback."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception
        self.type = type(exception)
        self.tb = exception.__traceback__
        self.traceback = traceback_text(exception)

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"


def traceback_text(error: BaseException) -> str:
    """Python's text, beginning at the task."""
    try:
        return "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except Exception as failed:  # noqa: BLE001  (a user's exception may refuse to be printed)
        return f"{type(error).__qualname__}: its traceback could not be written ({type(failed).__name__})\n"


def printable(text: str) -> str:
    """`text` with what no encoding can carry (lone surrogates) as escapes: it goes to logs and brokers."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def text_of(error: BaseException) -> str:
    """`str(error)`, of an error that may hold anything."""
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001  (a user's __repr__ inside)
        return f"{type(error).__name__}: its text failed with {type(failed).__name__}"


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the first one that is not in this room; all of them when there is none."""
    frame = frames
    while frame is not None and frame.tb_frame.f_globals.get("__package__") == __package__:
        frame = frame.tb_next
    return frame or frames
