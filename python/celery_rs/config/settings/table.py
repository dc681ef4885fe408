"""The table of settings: one row each, from which lookups, checks, old names and documentation are made.

To add a setting, add a row to its group.
"""

from typing import Any

from celery_rs.config.settings.broker import BROKER
from celery_rs.config.settings.general import GENERAL
from celery_rs.config.settings.results import RESULTS
from celery_rs.config.settings.row import REFUSED, Setting
from celery_rs.config.settings.services import BEAT, CONTROL, EVENTS, NOT_OF_A_SETTING, SECURITY
from celery_rs.config.settings.stores import DATABASE, OTHER_STORES, REDIS, STORES_THAT_ARE_NOT
from celery_rs.config.settings.task import ROUTING, TASK_EXECUTION, TASK_MESSAGE
from celery_rs.config.settings.worker import DAEMON, LOGGING, WORKER

GROUPS: dict[str, tuple[Setting, ...]] = {
    "General": GENERAL,
    "Messages": TASK_MESSAGE,
    "Running tasks": TASK_EXECUTION,
    "Queues and routes": ROUTING,
    "Broker": BROKER,
    "Results": RESULTS,
    "Results in Redis": REDIS,
    "Results in a database": DATABASE,
    "Results elsewhere": (*OTHER_STORES, *STORES_THAT_ARE_NOT),
    "Worker": (*WORKER, *DAEMON),
    "Logging": LOGGING,
    "Events": EVENTS,
    "Remote control": CONTROL,
    "Signed messages": SECURITY,
    "Schedules": BEAT,
    "Of single commands": NOT_OF_A_SETTING,
}
"""Heading → rows, in the order in which people read them."""

SETTINGS: tuple[Setting, ...] = tuple(setting for group in GROUPS.values() for setting in group)
BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}
DEFAULTS: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
OLD_NAMES: dict[str, str] = {
    setting.upper if setting.old == "=" else setting.old: setting.name
    for setting in SETTINGS
    if setting.old and not (setting.old == "=" and setting.state == REFUSED)
}
"""Names from before Celery 4 → present ones. S3_BUCKET and its like are left out: here they are a project's own."""
