"""Which pool a name opens."""

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.worker.pools import POOLS, Duties, PreforkPool, SoloPool, open_pool
from tests.recovery.pool_driver import always, success

DUTIES = Duties(lambda work, tell: success(work), always)


@pytest.mark.parametrize(("name", "kind"), [("prefork", PreforkPool), ("processes", PreforkPool), ("solo", SoloPool)])
def test_pools_by_name(name: str, kind: type) -> None:
    assert isinstance(open_pool(name, DUTIES, 2), kind)


def test_an_unknown_pool_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{', '.join(POOLS)}, got 'gevent'"):
        open_pool("gevent", DUTIES, 2)


def test_more_processes_than_there_is_memory_for_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"memory for, got 1000000000000 \(.*\); choose fewer"):
        open_pool("prefork", DUTIES, 10**12)


def test_a_pool_without_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 process, got 0"):
        open_pool("prefork", DUTIES, 0)
