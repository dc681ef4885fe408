"""What holds where no setting says anything: our own manners, or Celery's in a process where we stand in for it."""

from typing import NamedTuple


class Manners(NamedTuple):
    """`broker` is that of apps that name none, None being the embedded one; `strict`: unknown settings are errors."""

    broker: str | None
    strict: bool


_CELERYS = Manners(broker="amqp://", strict=False)
_held = [Manners(broker=None, strict=True)]


def adopt_celerys_manners() -> None:
    """Follow Celery from now on, in the whole process."""
    _held[:] = [_CELERYS]


def manners() -> Manners:
    """Those that hold in this process."""
    return _held[0]
