"""SQLAlchemy, from here for the whole store: who lacks it is told what to install."""

from typing import TYPE_CHECKING

from celery_rs.errors import ImproperlyConfigured
from celery_rs.serializers import library

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import event, exc
    from sqlalchemy.dialects import mysql, postgresql, sqlite
else:
    _NEEDED = ("the result store db+...://", "sqlalchemy")
    sa = library("sqlalchemy", *_NEEDED)
    if sa.__version__.startswith("1."):
        raise ImproperlyConfigured(
            f"the result store db+...:// needs SQLAlchemy 2.0 or newer, got {sa.__version__}; "
            "pip install 'celery-rs[sqlalchemy]'"
        )
    event = library("sqlalchemy.event", *_NEEDED)
    exc = library("sqlalchemy.exc", *_NEEDED)
    mysql = library("sqlalchemy.dialects.mysql", *_NEEDED)
    postgresql = library("sqlalchemy.dialects.postgresql", *_NEEDED)
    sqlite = library("sqlalchemy.dialects.sqlite", *_NEEDED)

__all__ = ["event", "exc", "mysql", "postgresql", "sa", "sqlite"]
