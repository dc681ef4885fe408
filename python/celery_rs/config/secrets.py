"""What must not be shown: passwords in URLs, and whatever stands under a name that speaks of a secret. Pure.

There is one mask for all of it, and every text that leaves the program for people's eyes passes here: settings,
banners, reports, error messages, log lines.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "********"

_SECRET = re.compile(r"api|token|key|secret|pass|signature|database|credential|auth_kwargs", re.IGNORECASE)
_NO_SECRET = re.compile(
    r"routing_?key|key_?prefix|keepalive|binding_key|unacked_\w*key|passive|bypass|key_?file|database_name",
    re.IGNORECASE,
)
_TABLES = frozenset({"database_table_names", "database_table_schemas"})
_URLS = ("_url", "result_backend")
_OF_NAMES = frozenset({"task_routes", "task_annotations", "task_queues", "beat_schedule"})
"""Settings whose keys are the users' own names of tasks, queues and schedules."""

# A URL ends at white space or a quote; the next one of a failover list follows a separator, with a scheme of its own.
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://"
_URLS_IN_A_ROW = re.compile(rf"{_SCHEME}[^\s'\"]*")
_NEXT = re.compile(rf"[;,](?={_SCHEME})")
_WITHOUT_USER = re.compile(rf"{_SCHEME}(?:\[[^]]*]|[^:/?#]*)(?::[0-9]*)?(?:[/?#]|$)")
_QUERY = re.compile(r"([?&;]([^=&;\s'\"]+)=)([^&;\s'\"]+)")


def is_secret(name: str) -> bool:
    """Whether what a setting, option or query of that name holds must not be shown."""
    return name not in _TABLES and bool(_SECRET.search(_NO_SECRET.sub("", name)))


def mask_urls(text: str) -> str:
    """`text` with the password of each URL in it masked; users, hosts and paths stay."""
    if "://" not in text:
        return text
    return _URLS_IN_A_ROW.sub(lambda found: _masked_list(found[0]), text)


def mask_url(text: str) -> str:
    """What stands where a URL should, with its password masked even where it lacks a scheme."""
    return mask_urls(text) if "://" in text else mask_urls(f"x://{text}").removeprefix("x://")


def censor(name: str, value: Any) -> Any:
    """`value` of a setting or option without secrets."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name):
        return MASK if value not in ("", b"") else value
    if isinstance(value, Mapping):
        return {key: censor("" if name in _OF_NAMES else str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [censor(name, item) for item in value]
    if not isinstance(value, str):
        return value
    return mask_url(value) if name.endswith(_URLS) else mask_urls(value)


def _masked_list(urls: str) -> str:
    """Each for itself. A password may hold a separator and a scheme too: what may be the rest of one does not show."""
    shown, begin = [], 0
    for separator in _NEXT.finditer(urls):
        url = urls[begin : separator.start()]
        if "@" in url or _WITHOUT_USER.match(url):
            shown.append(_masked(url, first=begin == 0) + separator[0])
            begin = separator.end()
    return "".join(shown) + _masked(urls[begin:], first=begin == 0)


def _masked(url: str, *, first: bool) -> str:
    scheme, _, rest = url.partition("://")
    # The last @ ends the user's part: a password may hold any other character, be it escaped or not.
    authority, at, place = rest.rpartition("@")
    if at and not (first and authority.startswith("/")):  # a file's path
        user, colon, _ = authority.partition(":")
        alone = user if first else MASK
        rest = f"{user}:{MASK}@{place}" if colon else f"{alone}@{place}"
    return f"{scheme}://{_QUERY.sub(_masked_query, rest)}"


def _masked_query(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}" if is_secret(found[2]) else found[0]
