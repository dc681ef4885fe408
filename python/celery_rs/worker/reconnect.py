"""How often, and when, a broker that cannot be reached is tried again (pure but for the log)."""

import logging
import math
from typing import Any, NamedTuple, Protocol

from celery_rs.errors import OperationalError
from celery_rs.transports import Backoff

logger = logging.getLogger("celery.worker.consumer")


class Delays(Protocol):
    """Seconds between tries, one after the other."""

    def next(self) -> float: ...
    def reset(self) -> None: ...


class Patience(NamedTuple):
    """`most` tries after the first one; None is without end."""

    most: int | None

    @classmethod
    def at_start(cls, conf: Any) -> "Patience":
        said = conf["broker_connection_retry_on_startup"]
        return cls.while_running(conf) if said is None else cls._of(conf, retry=said)

    @classmethod
    def while_running(cls, conf: Any) -> "Patience":
        return cls._of(conf, retry=conf["broker_connection_retry"])

    @classmethod
    def _of(cls, conf: Any, *, retry: bool) -> "Patience":
        return cls(conf["broker_connection_max_retries"] if retry else 0)


FOR_EVER = Patience(None)


class Rising:
    """2, 4, 6 … seconds, 30 at most, as Celery waits for a broker when it starts."""

    def __init__(self, step: float = 2.0, most: float = 30.0) -> None:
        self._step = step
        self._most = most
        self._delay = 0.0

    def next(self) -> float:
        self._delay = min(self._delay + self._step, self._most)
        return self._delay

    def reset(self) -> None:
        self._delay = 0.0


class Complaint:
    """What a thread says of a broker that fails: once for each reason, not once for each try.

    How often it was tried is in the log of the consumer, which loses the same broker.
    """

    def __init__(self, log: logging.Logger, who: str) -> None:
        self._log = log
        self._who = who
        self._said = ""

    def failed(self, error: OperationalError) -> None:
        if str(error) != self._said:
            self._said = str(error)
            self._log.error("%s: %s; trying again until it works", self._who, error)

    def worked(self) -> None:
        self._said = ""


class Tries:
    """Counts the failures in a row against the patience.

    With `sooner` it is tried after so many seconds at the latest; a try before the delay is over neither counts nor is
    logged. So a broker that is back is found soon, and one that stays away costs no more tries than without.
    """

    def __init__(
        self, broker: str, patience: Patience = FOR_EVER, delays: Delays | None = None, *, sooner: float = math.inf
    ) -> None:
        self._broker = broker
        self._most = patience.most
        self._delays = delays or Backoff()
        self._sooner = sooner
        self._failed = 0
        self._left = 0.0

    def failed(self, error: OperationalError) -> float:
        """Log the failure; returns the seconds until the next try. Raises the error when that was the last one."""
        if self._left > 0.0:
            return self._next()
        self._failed += 1
        if self._most is not None and self._failed > self._most:
            raise error
        delay = self._delays.next()
        most = "" if self._most is None else f"/{self._most}"
        reason = self._reason(error)
        data = {
            "url": self._broker,
            "reason": reason if reason.endswith("?") else f"{reason}.",
            "delay": delay,
            "tries": f"{self._failed}{most}",
        }
        logger.error(
            "consumer: Cannot connect to %(url)s: %(reason)s Trying again in %(delay).2f seconds... (%(tries)s)",
            data,
            extra={"data": data},
        )
        self._left = delay
        return self._next()

    def _reason(self, error: OperationalError) -> str:
        """Without what the line says already."""
        return str(error).removeprefix(f"broker {self._broker} ").removeprefix("cannot be reached: ")

    def _next(self) -> float:
        pause = min(self._left, self._sooner)
        self._left -= pause
        return pause

    def worked(self) -> None:
        """Log that it is back, when it was away."""
        self._left = 0.0
        if self._failed:
            logger.info("Connected to %s", self._broker)
            self._failed = 0
            self._delays.reset()
