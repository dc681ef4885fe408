"""From URL and settings to an opened store: `result_backend_transport_options`, and what begins with `redis_`."""

from collections.abc import Mapping
from typing import Any

from celery_rs.backends.opening import Opening
from celery_rs.backends.redis.store import PAUSES, RedisBackend
from celery_rs.config import load, mask_url
from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.redis import RedisOptions, ResultKeys, Server

_SETTINGS = {
    "redis_max_connections": "max_connections",
    "redis_socket_timeout": "socket_timeout",
    "redis_socket_connect_timeout": "socket_connect_timeout",
    "redis_socket_keepalive": "socket_keepalive",
    "redis_backend_health_check_interval": "health_check_interval",
    "redis_client_name": "client_name",
}
"""Setting → the option that it is."""

_MOST_PAUSES = 1000


def open_store(opening: Opening) -> RedisBackend:
    """Raises ImproperlyConfigured for a URL, an option or a setting that makes no sense."""
    url, options, settings = opening.url, opening.options, opening.settings
    given = {option: settings.get(name) or None for name, option in _SETTINGS.items()}  # 0 is off, as in Celery
    provider = _credential_provider(settings.get("redis_backend_credential_provider"))
    chosen = RedisOptions.of(
        {**given, "credential_provider": provider, **options}, setting="result_backend_transport_options"
    )
    use_ssl = settings.get("redis_backend_use_ssl")
    _check_certificates(url, use_ssl)
    server = Server.at(url, chosen, use_ssl=use_ssl, role="result store")
    keys = ResultKeys(
        key_prefix(chosen.global_keyprefix),
        opening.expires,
        opening.failure_expires,
        plain=opening.codec.is_plain,
    )
    return RedisBackend(
        server,
        keys,
        opening.written_by,
        pauses=_pauses(options.get("retry_policy") or {}),
        asks_again=bool(settings.get("redis_retry_on_timeout")),
    )


def key_prefix(given: str) -> str:
    """As Celery writes it before a key."""
    return given if not given or given[-1] in ":_-." else f"{given}_"


def _check_certificates(url: str, use_ssl: Any) -> None:
    if isinstance(use_ssl, Mapping) and "ssl_cert_reqs" in use_ssl:
        return
    for part in url.split(";"):
        if part.startswith("rediss://") and "ssl_cert_reqs=" not in part:
            raise ImproperlyConfigured(
                f"expected ssl_cert_reqs in the URL of a rediss:// result store, got {mask_url(part)!r}; add "
                "'?ssl_cert_reqs=required' to have the certificate checked, or 'none'"
            )


def _credential_provider(given: Any) -> Any:
    """What knows user and password: an object, its class, or the import path of either."""
    found = load(given) if isinstance(given, str) else given
    made = found() if isinstance(found, type) else found
    if made is not None and not callable(getattr(made, "get_credentials", None)):
        raise ImproperlyConfigured(
            f"redis_backend_credential_provider: expected an object with get_credentials(), got {given!r}"
        )
    return made


def _pauses(policy: Mapping[str, Any]) -> tuple[float, ...]:
    """Of Celery's `retry_policy`: how long to wait before each of the tries to reach the store again in mid-wait."""
    try:
        tries = policy.get("max_retries", len(PAUSES))
        most = _MOST_PAUSES if tries is None else min(int(tries), _MOST_PAUSES)
        start, step = float(policy.get("interval_start", 0.0)), float(policy.get("interval_step", 1.0))
        longest = float(policy.get("interval_max", 1.0))
    except (TypeError, ValueError):
        raise ImproperlyConfigured(
            "result_backend_transport_options: expected numbers as max_retries, interval_start, interval_step and "
            f"interval_max of 'retry_policy', got {policy!r}"
        ) from None
    return tuple(max(0.0, min(start + step * place, longest)) for place in range(most))
