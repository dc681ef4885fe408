"""The table of settings, by groups; a row says what a setting is called, may be, does, and whether it works."""

from celery_rs.config.settings.row import NOT_YET, REFUSED, WORKS, Setting, State
from celery_rs.config.settings.table import BY_NAME, DEFAULTS, GROUPS, OLD_NAMES, SETTINGS

__all__ = [
    "BY_NAME",
    "DEFAULTS",
    "GROUPS",
    "NOT_YET",
    "OLD_NAMES",
    "REFUSED",
    "SETTINGS",
    "WORKS",
    "Setting",
    "State",
]
