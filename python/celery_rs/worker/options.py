"""What a worker is told when it starts: the command line's answer, already checked.

`None` and `()` mean *as configured*: the worker then reads the setting named beside the field. Whoever builds one
(the command line, a test, a program) passes values; nothing here reads the environment.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from celery_rs.app import level_of
from celery_rs.config import suggestion
from celery_rs.errors import ImproperlyConfigured

PoolName = Literal["prefork", "solo"]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`hostname` is the whole node name, `celery@host`; limits are seconds."""

    hostname: str
    concurrency: int | None = None
    """worker_concurrency, else the number of processors."""
    pool: PoolName = "prefork"
    queues: tuple[str, ...] = ()
    """Every configured queue."""
    exclude_queues: tuple[str, ...] = ()
    time_limit: float | None = None
    """task_time_limit"""
    soft_time_limit: float | None = None
    """task_soft_time_limit"""
    max_tasks_per_child: int | None = None
    """worker_max_tasks_per_child"""
    prefetch_multiplier: int | None = None
    """worker_prefetch_multiplier where it was set, else adaptive; 0 is no bound."""
    loglevel: int = 30
    """A level of the `logging` module; 30 is WARNING."""
    on_child: Callable[[int], None] | None = None
    """Called first thing in every new child with its index, from 1: where its log goes."""
    autoscale: tuple[int, int] | None = None
    """(most, least) processes."""
    max_memory_per_child: int | None = None
    """worker_max_memory_per_child, KiB."""
    disable_prefetch: bool | None = None
    """worker_disable_prefetch"""
    statedb: str | None = None
    """worker_state_db: the file of revoked ids; `%n` and `%h` are filled in already."""
    task_events: bool | None = None
    """worker_send_task_events"""
    without_heartbeat: bool = False
    heartbeat_interval: float | None = None
    """Seconds between heartbeats; 2."""
    added: Mapping[str, Any] = field(default_factory=dict)
    """The values of the options that the app has added to the worker's, for receivers of `celeryd_init`."""

    @classmethod
    def of(cls, **given: Any) -> "WorkerOptions":
        """Options by name, as a program writes them: a level by its word, queues as a list or `"a,b"`, no hostname.

        Raises ImproperlyConfigured for a name that is none.
        """
        known = [option.name for option in fields(cls)]
        for name in given.keys() - set(known):
            raise ImproperlyConfigured(f"a worker has no option {name!r}{suggestion(name, known)}")
        said: dict[str, Any] = {"hostname": f"celery@{os.uname().nodename}", **given}
        for name in ("queues", "exclude_queues"):
            value = said.get(name) or ()
            said[name] = tuple(value.split(",") if isinstance(value, str) else value)
        said["loglevel"] = level_of(said.get("loglevel"))
        return cls(**said)
