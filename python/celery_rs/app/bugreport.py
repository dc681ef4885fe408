"""What somebody must know to help: versions, the platform, broker and results, and the settings that are not default.

Nothing is connected to, and no secret is in it, so that it can be pasted anywhere.
"""

import platform
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pprint import pformat
from typing import TYPE_CHECKING, Any, NamedTuple

from celery_rs.config import NOT_YET, REFUSED, SETTINGS, WORKS, mask_urls

if TYPE_CHECKING:
    from celery_rs.app.app import Celery

_PACKAGES = ("celery-rs", "click", "orjson", "pika", "redis")
_WIDTH = 80


class Report(NamedTuple):
    """Names → values throughout; `settings` are those that somebody has set, without secrets."""

    software: Mapping[str, str]
    platform: Mapping[str, str]
    loader: str
    broker: str
    results: str
    states: Mapping[str, int]
    """How many settings work, are refused, are not there yet."""
    deprecated: tuple[str, ...]
    """Names from before Celery 4 that are in use."""
    settings: Mapping[str, Any]


def report_of(app: "Celery") -> Report:
    """Raises ImproperlyConfigured for settings that cannot be read."""
    kind = type(app.loader)
    counts = Counter(setting.state for setting in SETTINGS)
    return Report(
        _versions(),
        {
            "system": platform.system(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
        },
        f"{kind.__module__}.{kind.__qualname__}",
        mask_urls(app.broker_url),
        mask_urls(app.backend_url or "disabled://"),
        {state: counts[state] for state in (WORKS, REFUSED, NOT_YET)},
        app.conf.deprecated_settings,
        app.conf.table(),
    )


def as_text(report: Report) -> str:
    """The report for people; the settings that are set are the lines at its end."""
    states = report.states
    facts = {
        "software": _words(report.software),
        "platform": _words(report.platform),
        "loader": report.loader,
        "broker": report.broker,
        "results": report.results,
        "settings": f"{states[WORKS]} work, {states[REFUSED]} refused, {states[NOT_YET]} not yet",
        "old names": ", ".join(report.deprecated) or "none",
    }
    lines = [f"{name}: {fact}" for name, fact in facts.items()]
    values = [f"{name}: {pformat(value, width=_WIDTH)}" for name, value in sorted(report.settings.items())]
    return "\n".join([*lines, "", *values] if values else lines)


def _versions() -> dict[str, str]:
    # Looking for versions takes as long as all else that a client imports.
    metadata = import_module("importlib.metadata")
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "none"
    return {**found, "sqlite": import_module("sqlite3").sqlite_version}


def _words(facts: Mapping[str, str]) -> str:
    return " ".join(f"{name}:{fact}" for name, fact in facts.items())
