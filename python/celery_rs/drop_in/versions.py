"""Which Celery this stands for: libraries look at its version to know what they may ask for."""

from celery_rs.version import version_info_t

__version__ = "5.7.0"
VERSION = version_info = version_info_t(5, 7, 0, "", "")
SERIES = "collider"
VERSION_BANNER = f"{__version__} ({SERIES})"

BILLIARD = "4.3.2"
"""The pool library of that Celery."""
BILLIARD_VERSION = version_info_t(4, 3, 2, "", "")
