"""From URL and settings to a cache, and what is said of those that make no sense."""

import re
import sys
from contextlib import closing
from typing import Any

import pytest

from celery_rs.errors import ImproperlyConfigured
from celery_rs.wire import TaskResult, encode_meta
from tests.apps import make_app
from tests.memcached_server import own_memcached

SUCCESS = TaskResult("a", "SUCCESS", 0, encode_meta("a", "SUCCESS", None, now=0.0))


def described(**settings: Any) -> str:
    with closing(make_app(**settings)) as app:
        return app.backend.describe()


@pytest.mark.parametrize("kind", ["memcache", "memcached", "pylibmc", "pymemcache"])
def test_celerys_names_of_memcached_mean_the_same(kind: str) -> None:
    assert described(result_backend=f"cache+{kind}://one:1234;two/") == "cache+memcached://one:1234;two:11211/"


def test_a_memcached_may_be_a_socket() -> None:
    assert described(result_backend="cache+memcached:///run/m.sock/") == "cache+memcached:///run/m.sock/"


def test_the_memory_of_the_process_is_a_cache() -> None:
    assert described(result_backend="cache+memory://") == "cache+memory://"


def test_cache_backend_names_the_cache() -> None:
    assert described(result_backend="cache", cache_backend="memcached://one/") == "cache+memcached://one:11211/"


def test_cache_backend_options_reach_the_client() -> None:
    with own_memcached() as server:
        app = make_app(result_backend=server.url, cache_backend_options={"key_prefix": "mine-", "behaviors": {}})
        with closing(app), closing(make_app(result_backend=server.url)) as other:
            app.backend.store([SUCCESS])

            assert app.backend.fetch(["a"]) == {"a": SUCCESS}
            assert other.backend.fetch(["a"]) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"result_backend": "cache"}, "expected a cache such as 'cache+memcached://127.0.0.1:11211/'"),
        ({"result_backend": "cache+dummy://"}, "got 'dummy://'"),
        ({"result_backend": "cache://u:secret@host/"}, "got 'cache://u:********@host/'"),
        ({"result_backend": "cache+memcached://"}, "expected a server after cache+memcached://, got none"),
        ({"result_backend": "cache+memcached://host:port/"}, "expected servers as in"),
        ({"result_backend": "cache+memcached://u:secret@host:port/"}, "expected servers as in"),
        (
            {"result_backend": "cache+memcached://host/", "cache_backend_options": {"timeuot": 1}},
            "cache_backend_options: there is no option 'timeuot'; did you mean 'timeout'?",
        ),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(said)) as caught:
        described(**settings)

    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_client_is_a_line_that_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "celery_rs.backends.cache.memcached", raising=False)
    monkeypatch.setitem(sys.modules, "pymemcache.client.base", None)

    with pytest.raises(ImproperlyConfigured, match=r"pip install 'celery-rs\[memcache\]'"):
        described(result_backend="cache+memcached://host/")
