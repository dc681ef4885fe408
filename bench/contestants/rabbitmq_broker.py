"""celery-rs, Celery and dramatiq on a RabbitMQ that is started for the run, each with its own defaults.

Results go over `rpc://`. dramatiq has no such store: its results go to a Redis of the run.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.contestants import servers
from bench.contestants.base import CONCURRENCY, Contestant
from bench.contestants.environment import CELERY as IN_CELERY

_DURABLE = "classic durable queue, persistent messages"
_RPC = "results over rpc, transient, to a queue of the client's own"


def settings(place: Path, results: bool, **transport: Any) -> dict[str, Any]:
    """Everything else is the default."""
    return {
        "broker_url": servers.rabbitmq_url(place),
        "broker_transport_options": transport,
        "result_backend": "rpc://" if results else None,
    }


def dramatiq_settings(place: Path, results: bool) -> dict[str, Any]:
    """For `bench.inside.dramatiq_app`."""
    # dramatiq hands the URL to pika, which wants the slash of the vhost quoted.
    url = servers.rabbitmq_url(place).removesuffix("/") + "%2F"
    return {"broker_url": url, "result_backend": servers.redis_url(place) if results else None}


def _rabbitmq_and_redis(place: Path) -> servers.Together:
    store = servers.redis(place)
    try:
        return servers.Together(servers.rabbitmq(place), store)
    except BaseException:
        store.stop()
        raise


CELERY_RS = Contestant(
    name="celery-rs-rabbitmq",
    package="celery_rs",
    python=Path(sys.executable),
    settings=settings,
    libraries=("celery-rs", "pika"),
    durability=f"{_DURABLE}; the client's are confirmed in the background, the worker's before it goes on; {_RPC}",
    acknowledgement="early, recorded when a task has run for 5 ms; what has not started is never lost",
    broker=servers.rabbitmq,
    caller_stays=True,
    server_versions=servers.rabbitmq_version,
)

CELERY = Contestant(
    name="celery-rabbitmq",
    package="celery",
    python=IN_CELERY.python,
    settings=settings,
    libraries=("celery", "kombu", "amqp"),
    durability=f"{_DURABLE}, no confirms; {_RPC}",
    acknowledgement="early, when the task is handed to the pool",
    prepare=IN_CELERY.prepare,
    install=IN_CELERY.command,
    broker=servers.rabbitmq,
    caller_stays=True,
    server_versions=servers.rabbitmq_version,
)

# What it takes for Celery to know that a message has arrived.
CONFIRMED = replace(
    CELERY,
    name="celery-rabbitmq-confirms",
    settings=partial(settings, confirm_publish=True),
    durability=f"{_DURABLE}, each confirmed before delay() returns; {_RPC}",
)

DRAMATIQ = Contestant(
    name="dramatiq-rabbitmq",
    package="bench.inside.dramatiq_app",
    python=IN_CELERY.python,
    settings=dramatiq_settings,
    libraries=("dramatiq", "pika", "redis"),
    durability=f"{_DURABLE}, no confirms; results in a Redis that keeps nothing on disk: it has none over rpc",
    acknowledgement="late, after the task has run",
    caveat="8 threads in each process, its default; the broker's CPU includes that Redis",
    prepare=IN_CELERY.prepare,
    install=IN_CELERY.command,
    broker=_rabbitmq_and_redis,
    server_versions=lambda: {**servers.rabbitmq_version(), **servers.redis_version()},
    lacks={
        "routes": "does not route by a task's name",
        "bulk": "sends one by one",
        "rate_limit": "limits inside a body, which is run to find out",
    },
    worker=("dramatiq", "bench.inside.app", "--processes", str(CONCURRENCY)),
)
