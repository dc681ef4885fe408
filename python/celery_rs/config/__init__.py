"""Settings: the table, the lookup, and where values come from."""

from celery_rs.config.checks import check_rate, check_seconds
from celery_rs.config.conf import Settings, censor
from celery_rs.config.settings import BY_NAME, SETTINGS, Setting
from celery_rs.config.sources import load
from celery_rs.config.spelling import nearest, suggestion
from celery_rs.config.zones import zone

__all__ = [
    "BY_NAME",
    "SETTINGS",
    "Setting",
    "Settings",
    "censor",
    "check_rate",
    "check_seconds",
    "load",
    "nearest",
    "suggestion",
    "zone",
]
