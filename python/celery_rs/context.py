"""Who am I: the current app and the request that runs now.

The app is a process-wide default with a per-context override; the request stack is per context, so
that threads and coroutines do not see each other's. The protocols say what lower rooms need of an app, so
that `results` and `execution` never import `app`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from celery_rs.errors import ImproperlyConfigured

if TYPE_CHECKING:
    from celery_rs.backends.base import ResultBackend
    from celery_rs.transports.base import Outgoing, Transport
