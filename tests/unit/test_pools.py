"""Which pool a name opens."""

from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.worker.pools import POOLS, PreforkPool, SoloPool, open_pool


@pytest.mark.parametrize(("name", "kind"), [("prefork", PreforkPool), ("processes", PreforkPool), ("solo", SoloPool)])
def test_pools_by_name(name: str, kind: type) -> None:
    app: Any = None  # nothing is asked of it before a task runs

    assert isinstance(open_pool(name, app, 2, hostname="celery@here"), kind)


def test_an_unknown_pool_is_refused_with_the_known_ones() -> None:
    app: Any = None

    with pytest.raises(ImproperlyConfigured, match=f"{', '.join(POOLS)}, got 'gevent'"):
        open_pool("gevent", app, 2, hostname="celery@here")


def test_more_processes_than_there_is_memory_for_are_refused() -> None:
    app: Any = None

    with pytest.raises(ImproperlyConfigured, match=r"memory for, got 1000000000000 \(.*\); choose fewer"):
        open_pool("prefork", app, 10**12, hostname="celery@here")


def test_a_pool_without_processes_is_refused() -> None:
    app: Any = None

    with pytest.raises(ValueError, match="at least 1 process, got 0"):
        open_pool("prefork", app, 0, hostname="celery@here")
