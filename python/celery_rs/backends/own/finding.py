"""From `result_backend` to a store of the user's own: a name in override_backends, an entry point, or a class path.

`proj.stores.MyStore`, `proj.stores:MyStore`, and with a URL for the store `proj.stores:MyStore+scheme://host/...`.
"""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, cast

from celery_rs.backends.base import ResultBackend
from celery_rs.backends.opening import Opening
from celery_rs.backends.own.adapter import OwnBackend
from celery_rs.backends.own.base import BaseBackend
from celery_rs.backends.own.key_value import KeyValueStoreBackend
from celery_rs.config import load, mask_url
from celery_rs.errors import ImproperlyConfigured

ENTRY_POINTS = "celery.result_backends"
_SHAPES: Mapping[type[BaseBackend], tuple[str, ...]] = {
    KeyValueStoreBackend: ("get", "set"),
    BaseBackend: ("_store_result", "_get_task_meta_for"),
}
"""What a subclass must have of its own."""


class Given(NamedTuple):
    """What names the class, what the class is told, and what people are told."""

    store: Any
    url: str | None
    setting: str


def overridden(url: str, overrides: Mapping[str, Any]) -> Given | None:
    """What override_backends has for the name before `://`, or before its `+`."""
    name, store_url = split(url)
    whole = url.partition("://")[0]
    if whole in overrides:
        return Given(overrides[whole], url if "://" in url else None, "override_backends")
    return Given(overrides[name], store_url, "override_backends") if name in overrides else None


def elsewhere(url: str) -> Given | None:
    """An entry point of that name, or a class path."""
    name, store_url = split(url)
    metadata = import_module("importlib.metadata")  # 20 ms and 3 MiB, for the few who ask
    for found in metadata.entry_points(group=ENTRY_POINTS, name=name):
        return Given(found.value, store_url, f"the entry point {ENTRY_POINTS}")
    return Given(name, store_url, "result_backend") if "." in name or ":" in name else None


def split(url: str) -> tuple[str, str | None]:
    """As Celery does: `NAME+URL`, a URL that begins with the name, or the name alone."""
    scheme, mark, _ = url.partition("://")
    if not mark:
        return url, None
    name, plus, _ = scheme.partition("+")
    return (name, url.partition("+")[2]) if plus else (scheme, url)


def open_own(given: Given, opening: Opening) -> ResultBackend:
    """Raises ImproperlyConfigured for what is no result store."""
    store = _loaded(given)
    if isinstance(store, type) and issubclass(store, BaseBackend):
        return _of_celerys_shape(store, given, opening)
    if callable(getattr(store, "open_store", None)):
        return cast(ResultBackend, store.open_store(opening))
    if callable(getattr(store, "open", None)):
        return cast(ResultBackend, store.open(opening.url, opening.options, expires=opening.expires))
    raise ImproperlyConfigured(
        f"{given.setting}: expected a result store with a class method `open(url, options, expires=...)`, or a class "
        f"derived from celery_rs.backends.BaseBackend or KeyValueStoreBackend, got {_shown(given.store)}"
    )


def _loaded(given: Given) -> Any:
    return load(given.store, given.setting) if isinstance(given.store, str) else given.store


def _of_celerys_shape(store: type[BaseBackend], given: Given, opening: Opening) -> OwnBackend:
    for shape, needed in _SHAPES.items():
        if issubclass(store, shape):
            _check(store, shape, needed, given)
            break
    return OwnBackend(
        partial(store, app=opening.app, url=given.url),
        name=store.__name__,
        shown=mask_url(opening.url if "://" in opening.url else f"{opening.url}://"),
        codec=opening.codec,
        shared=bool(opening.settings.get("result_backend_thread_safe")),
    )


def _check(store: type[BaseBackend], shape: type[BaseBackend], needed: tuple[str, ...], given: Given) -> None:
    missing = [name for name in needed if getattr(store, name) is getattr(shape, name)]
    if missing:
        raise ImproperlyConfigured(
            f"{given.setting}: expected {store.__name__} to have {' and '.join(f'{name}()' for name in needed)}, "
            f"which {shape.__name__} leaves to it; {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing"
        )


def _shown(store: Any) -> str:
    return repr(mask_url(store) if isinstance(store, str) else store)
