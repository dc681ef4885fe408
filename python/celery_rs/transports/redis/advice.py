"""How a Redis is set up, where that can cost messages: one line for each thing to change.

A server that does not tell (hosted ones often do not) is left in peace.
"""

from celery_rs.transports.redis.errors import Refused
from celery_rs.transports.redis.link import Argument, Link


def advice(link: Link, where: str) -> list[str]:
    """Lines for its operator. Raises LinkLost."""
    told = _info(link, b"memory") | _info(link, b"persistence")
    lines = []
    policy = told.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        lines.append(
            f"broker {where} evicts keys when its memory is full (maxmemory-policy {policy}), messages among them; "
            "set it to noeviction"
        )
    if told.get("aof_enabled") == "0" and _setting(link, b"save") == "":
        lines.append(
            f"broker {where} keeps nothing on disk, so its restart loses every message; set appendonly yes, or save"
        )
    return lines


def _info(link: Link, section: bytes) -> dict[str, str]:
    told = _ask(link, b"INFO", section)
    text = told.decode(errors="replace") if isinstance(told, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _setting(link: Link, name: bytes) -> str | None:
    told = _ask(link, b"CONFIG", b"GET", name)
    return told[1].decode(errors="replace") if isinstance(told, list) and len(told) == 2 else None


def _ask(link: Link, *command: Argument) -> object:
    try:
        return link.call(*command)
    except Refused:
        return None
