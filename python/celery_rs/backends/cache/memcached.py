"""Values in memcached: compared and set by its CAS, and expired by itself.

Of several servers each key has one, which is found as Celery's client finds it. That client gives the keys of a server
that is down to the others; here they wait until it is back, since a result written elsewhere would not be found then.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

from celery_rs.backends.key_value import Step, hashed
from celery_rs.config import mask_url
from celery_rs.errors import BackendError, ImproperlyConfigured
from celery_rs.serializers import library

_base = library("pymemcache.client.base", "the result store cache+memcached://", "memcache")
_exceptions = library("pymemcache.exceptions", "the result store cache+memcached://", "memcache")
_rendezvous = library("pymemcache.client.rendezvous", "the result store cache+memcached://", "memcache")

_MONTH_S = 30 * 86_400
"""A longer time memcached reads as a date."""
_LONGEST_KEY = 250
_MOST_TRIES = 100

_How = Literal["done", "changed meanwhile", "too large"]
_DEFAULTS = {"connect_timeout": 5.0, "timeout": 5.0, "no_delay": True}
_TAKEN = frozenset(
    {
        "allow_unicode_keys", "connect_timeout", "deserializer", "key_prefix", "no_delay",
        "pool_idle_timeout", "serde", "serializer", "socket_keepalive", "timeout", "tls_context",
    }
)  # fmt: skip
"""What the client is given."""
_PASSED_OVER = frozenset(
    {
        "behaviors", "binary", "dead_timeout", "default_noreply", "do_not_retry_for", "encoding", "ignore_exc",
        "lock_generator", "max_pool_size", "retry_attempts", "retry_delay", "retry_for", "retry_timeout",
        "socket_module", "use_pooling",
    }
)  # fmt: skip
"""What makes no difference here: connections are pooled, answers waited for, errors heard, and stores asked again."""


class MemcachedValues:
    """See `key_value.Values`. `clock` is only for times longer than a month."""

    def __init__(
        self,
        servers: Sequence[str],
        options: Mapping[str, Any],
        hasher: Any = _rendezvous.RendezvousHash,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._specs = {_name(spec): spec for spec in map(_base.normalize_server_spec, servers)}
        self._options = options
        self._longest = _LONGEST_KEY - len(options.get("key_prefix") or "")
        self._clock = clock
        self._ring = hasher()
        for name in self._specs:
            self._ring.add_node(name)
        self._pools = self._pooled()
        self._of_parents: list[object] = []

    def _pooled(self) -> dict[str, Any]:
        """Connects lazily."""
        return {name: _base.PooledClient(spec, **self._options) for name, spec in self._specs.items()}

    def read(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        spelled = {self._spelling(key): key for key in keys}
        found: dict[str, bytes] = {}
        for server, some in self._by_server(spelled).items():
            values = self._ask(server, "get_many", some)
            found |= {spelled[name]: _as_bytes(value) for name, value in values.items()}
        return found

    def change(self, steps: Mapping[str, Step]) -> Collection[str]:
        spelled = {self._spelling(key): key for key in steps}
        refused: list[str] = []
        for server, some in self._by_server(spelled).items():
            taken = self._change(server, {name: steps[spelled[name]] for name in some})
            refused += [spelled[name] for name in taken]
        return refused

    def _change(self, server: str, steps: Mapping[str, Step]) -> list[str]:
        """Take these steps; those that somebody came before are taken again. Returns what is too large."""
        too_large: list[str] = []
        left = list(steps)
        for _ in range(_MOST_TRIES):
            seen = self._ask(server, "gets_many", left)
            written = {name: self._step(server, name, steps[name], seen.get(name)) for name in left}
            too_large += [name for name, how in written.items() if how == "too large"]
            left = [name for name, how in written.items() if how == "changed meanwhile"]
            if not left:
                return too_large
        raise BackendError(f"{_words(server)}: others keep writing {left[0]}; do several tasks share this id?")

    def _step(self, server: str, name: str, step: Step, seen: tuple[Any, Any] | None) -> _How:
        new = step(None if seen is None else _as_bytes(seen[0]))
        if new is None:
            return "done"
        until = self._until(new.lasts)
        try:
            if seen is None:
                done = self._ask(server, "add", name, new.value, expire=until, noreply=False)
            else:
                done = self._ask(server, "cas", name, new.value, seen[1], expire=until, noreply=False)
        except _TooLarge:
            return "too large"
        return "done" if done else "changed meanwhile"

    def _until(self, lasts: float | None) -> int:
        """How memcached is told; 0 is for ever."""
        if lasts is None:
            return 0
        return math.ceil(lasts if lasts <= _MONTH_S else self._clock() + lasts)

    def drop(self, keys: Sequence[str]) -> None:
        for server, some in self._by_server(list(map(self._spelling, keys))).items():
            self._ask(server, "delete_many", some, noreply=False)

    def sweep(self) -> None:
        """memcached drops by itself what has expired."""

    def describe(self) -> str:
        return mask_url(f"cache+memcached://{';'.join(self._specs)}/")

    def after_fork(self) -> None:
        self._of_parents.append(self._pools)  # so that nothing closes them
        self._pools = self._pooled()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _spelling(self, key: str) -> str:
        """What the key is called there: not every id is one that memcached takes."""
        fits = key.isascii() and key.isprintable() and " " not in key and len(key) <= self._longest
        return key if fits else hashed(key)

    def _by_server(self, names: Collection[str]) -> dict[str, list[str]]:
        if len(self._specs) == 1:
            return {server: list(names) for server in self._specs if names}
        by_server: dict[str, list[str]] = {}
        for name in names:
            by_server.setdefault(self._ring.get_node(name), []).append(name)
        return by_server

    def _ask(self, server: str, method: str, *args: Any, **options: Any) -> Any:
        """Connections that had died unnoticed are no error: everything may be asked again."""
        pool = self._pools[server]
        question = partial(getattr(pool, method), *args, **options)
        for _ in range(len(pool.client_pool.free)):
            try:
                return question()
            except (ConnectionError, _exceptions.MemcacheUnexpectedCloseError):
                continue
            except Exception as error:  # noqa: BLE001  (whatever the client and the user's `serde` raise)
                raise _failure(_words(server), error) from None
        try:
            return question()
        except Exception as error:  # noqa: BLE001
            raise _failure(_words(server), error) from None


class _TooLarge(BackendError):
    """The server takes no value of this size."""


def open_values(servers: Sequence[str], options: Mapping[str, Any]) -> MemcachedValues:
    """`options` are cache_backend_options. Raises ImproperlyConfigured for what makes no sense."""
    if not servers:
        raise ImproperlyConfigured(
            "expected a server after cache+memcached://, got none; write 'cache+memcached://127.0.0.1:11211/'"
        )
    unknown = sorted(options.keys() - _TAKEN - _PASSED_OVER - {"hasher"})
    if unknown:
        near = get_close_matches(unknown[0], sorted(_TAKEN), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ImproperlyConfigured(f"cache_backend_options: there is no option {unknown[0]!r}{hint}")
    taken = {name: value for name, value in options.items() if name in _TAKEN}
    try:
        return MemcachedValues(servers, {**_DEFAULTS, **taken}, options.get("hasher") or _rendezvous.RendezvousHash)
    except (TypeError, ValueError):
        raise ImproperlyConfigured(
            f"expected servers as in 'cache+memcached://host:11211;other:11211/', got {mask_url(';'.join(servers))!r}"
        ) from None


def _name(spec: Any) -> str:
    """A server as Celery's client calls it, which decides what keys it has."""
    return spec if isinstance(spec, str) else "{}:{}".format(*spec)


def _words(server: str) -> str:
    return f"result store {mask_url(f'cache+memcached://{server}/')}"


def _as_bytes(value: Any) -> bytes:
    """A `serde` of the user's may give text."""
    return value if isinstance(value, bytes) else str(value).encode()


def _failure(words: str, error: Exception) -> BackendError:
    if isinstance(error, TimeoutError):
        return BackendError(f"{words} did not answer in time (`timeout` in cache_backend_options)")
    if isinstance(error, OSError | _exceptions.MemcacheUnexpectedCloseError):
        return BackendError(f"cannot reach {words}: {getattr(error, 'strerror', None) or 'it closed the connection'}")
    if isinstance(error, _exceptions.MemcacheServerError):
        said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        if "too large" in said:
            return _TooLarge(f"{words}: {said}")
        return BackendError(f"{words} refused: {said}")
    return BackendError(f"{words}: {type(error).__name__}: {error}")
