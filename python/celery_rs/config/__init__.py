"""Settings: the table, the lookup, and where values come from."""

from celery_rs.config.brokers import Purpose, broker_url
from celery_rs.config.checks import check_rate, check_seconds, retry_policy
from celery_rs.config.conf import Complaint, Option, Settings
from celery_rs.config.connection import broker_info
from celery_rs.config.extensions import register_prefix
from celery_rs.config.manners import adopt_celerys_manners
from celery_rs.config.secrets import MASK, censor, is_secret, mask_url, mask_urls
from celery_rs.config.settings import BY_NAME, GROUPS, NOT_YET, OLD_NAMES, REFUSED, SETTINGS, WORKS, Setting
from celery_rs.config.sources import load
from celery_rs.config.spelling import nearest, suggestion
from celery_rs.config.words import from_words
from celery_rs.config.zones import zone

__all__ = [
    "BY_NAME",
    "GROUPS",
    "MASK",
    "NOT_YET",
    "OLD_NAMES",
    "REFUSED",
    "SETTINGS",
    "WORKS",
    "Complaint",
    "Option",
    "Purpose",
    "Setting",
    "Settings",
    "adopt_celerys_manners",
    "broker_info",
    "broker_url",
    "censor",
    "check_rate",
    "check_seconds",
    "from_words",
    "is_secret",
    "load",
    "mask_url",
    "mask_urls",
    "nearest",
    "register_prefix",
    "retry_policy",
    "suggestion",
    "zone",
]
