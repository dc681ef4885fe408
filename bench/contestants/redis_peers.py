"""Other queues on the Redis of the run, each as its authors say it is run, with two processes.

Where a documentation leaves a number to the reader (jobs at once, how often to look), the caveat names ours. Whose
bodies run as coroutines have quick ones on the event loop, which is what such a queue is for.
"""

from pathlib import Path
from typing import Any

from bench.contestants import servers
from bench.contestants.base import CONCURRENCY, Contestant
from bench.contestants.environment import ARQ as IN_ARQ
from bench.contestants.environment import PEERS, Environment
from bench.contestants.environment import SAQ as IN_SAQ
from bench.contestants.redis_broker import DURABILITY

_NO_LIMIT = "has no rate limit for a task"
_NO_ROUTES = "does not route by a task's name"
_NO_SIGNALS = "has no signals of Celery's"
_NO_BULK = "sends one by one"
_LACKS = {"routes": _NO_ROUTES, "signals": _NO_SIGNALS}


def settings(place: Path, results: bool) -> dict[str, Any]:
    """Where, and whether results are to be kept."""
    return {"broker_url": servers.redis_url(place), "results": results}


def huey_settings(place: Path, results: bool) -> dict[str, Any]:
    """What its constructor takes. A caller that waits is told of a result, instead of looking for it."""
    return {"url": servers.redis_url(place), "results": results, "notify_result": results}


def dramatiq_settings(place: Path, results: bool) -> dict[str, Any]:
    """For `bench.inside.dramatiq_app`."""
    url = servers.redis_url(place)
    return {"broker_url": url, "result_backend": url if results else None}


def _on_redis(app: str, environment: Environment, **terms: Any) -> Contestant:
    return Contestant(
        package=f"bench.inside.{app}_app",
        python=environment.python,
        prepare=environment.prepare,
        install=environment.command,
        durability=DURABILITY,
        broker=servers.redis,
        server_versions=servers.redis_version,
        **terms,
    )


CAULI = _on_redis(
    "cauli",
    PEERS,
    name="cauli",
    settings=settings,
    libraries=("cauli", "cauli-worker", "redis", "hiredis", "uvloop"),
    acknowledgement="late, in batches: an entry of a stream until its result is stored; a dead worker's after 302 s",
    caveat="JSON; 96 at once in each process, the best in its authors' measurements; a caller polls from every ms on",
    worker=(
        "cauli-worker",
        "-A",
        "bench.inside.app:native",
        "--procs",
        str(CONCURRENCY),
        "-c",
        "192",
        "--python",
        str(PEERS.python),
        "--log-level",
        "warn",
    ),
    lacks={"rate_limit": _NO_LIMIT, "signals": _NO_SIGNALS},
)

TASKIQ = _on_redis(
    "taskiq",
    PEERS,
    name="taskiq",
    settings=settings,
    libraries=("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop"),
    acknowledgement="late, each: an entry of a stream until its result is stored; a dead worker's after 10 minutes",
    caveat="messages in JSON, results in pickle; 100 at once in each process, its default; a caller polls, every ms "
    "here, every 200 ms by default; an acknowledged entry stays in the stream",
    worker=("taskiq", "worker", "bench.inside.app:native", "--workers", str(CONCURRENCY), "--log-level", "WARNING"),
    lacks={**_LACKS, "rate_limit": _NO_LIMIT, "eta": "needs a scheduler, another process", "bulk": _NO_BULK},
)

ARQ = _on_redis(
    "arq",
    IN_ARQ,
    name="arq",
    settings=settings,
    libraries=("arq", "redis", "hiredis"),
    acknowledgement="late, each: a job leaves the queue when it has ended; a dead worker's runs again after 310 s",
    caveat="pickle; polls, every ms here with 100 jobs at once in each process, every 500 ms with 10 by default",
    worker=("arq", "bench.inside.app.native", "--custom-log-dict", "bench.inside.arq_app.QUIET"),
    copies=CONCURRENCY,
    lacks={**_LACKS, "rate_limit": _NO_LIMIT, "bulk": _NO_BULK},
)

SAQ = _on_redis(
    "saq",
    IN_SAQ,
    name="saq",
    settings=settings,
    libraries=("saq", "redis", "hiredis"),
    acknowledgement="early: all that a dead worker has taken is aborted when it is swept, unless it has retries",
    caveat="JSON; 100 jobs at once in each process here, 10 by default",
    worker=("saq", "bench.inside.app.native", "--workers", str(CONCURRENCY)),
    lacks={**_LACKS, "rate_limit": _NO_LIMIT, "bulk": _NO_BULK},
)

DRAMATIQ = _on_redis(
    "dramatiq",
    PEERS,
    name="dramatiq-redis",
    settings=dramatiq_settings,
    libraries=("dramatiq", "redis", "hiredis"),
    acknowledgement="late, each: after the task has run; a dead worker's return after 60 s, at one of 1,000 commands",
    caveat="JSON; 8 threads in each process, its default",
    worker=("dramatiq", "bench.inside.app", "--processes", str(CONCURRENCY)),
    lacks={**_LACKS, "rate_limit": "limits inside a body, which is run to find out", "bulk": _NO_BULK},
)

HUEY = _on_redis(
    "huey",
    PEERS,
    name="huey-redis",
    settings=huey_settings,
    libraries=("huey", "redis", "hiredis"),
    acknowledgement="early: popped by BRPOP, lost when its worker dies",
    caveat="pickle; a result is read once",
    worker=("huey_consumer", "bench.inside.app.native", "-k", "process", "-w", str(CONCURRENCY), "-q"),
    lacks={**_LACKS, "rate_limit": "limits inside a body, which is run to find out", "bulk": _NO_BULK},
)

RQ = _on_redis(
    "rq",
    PEERS,
    name="rq",
    settings=settings,
    libraries=("rq", "redis", "hiredis"),
    acknowledgement="early: what a dead worker was running is marked as failed, unless it has retries",
    caveat="pickle; forks a process for each job, its default",
    worker=("rq", "worker-pool", "-n", str(CONCURRENCY), "-c", "bench.inside.rq_settings", "-l", "WARNING"),
    lacks={**_LACKS, "rate_limit": _NO_LIMIT},
)
