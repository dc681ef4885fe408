"""`install()`: from now on `import celery`, `kombu` and `billiard` find what stands for them here."""

import sys

from celery_rs.config import adopt_celerys_manners
from celery_rs.drop_in.finder import Finder
from celery_rs.drop_in.names import ROOTS
from celery_rs.errors import ImproperlyConfigured


def install() -> None:
    """Stand in for Celery in this process, also where Celery itself is installed; once is enough.

    Celery's defaults hold from now on: apps that name no broker use `amqp://`, and unknown settings are warnings.
    Raises ImproperlyConfigured when the real ones have been imported already: two halves of a program would not know
    each other.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    for root in sorted(ROOTS):
        if root in sys.modules:
            place = getattr(sys.modules[root], "__file__", None) or "somewhere"
            raise ImproperlyConfigured(
                f"celery_rs cannot stand in for {root!r}, which this program has imported from {place}; "
                "call celery_rs.drop_in.install() before anything imports it"
            )
    adopt_celerys_manners()
    sys.meta_path.insert(0, Finder())
