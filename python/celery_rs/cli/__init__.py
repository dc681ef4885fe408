"""The command line."""

from celery_rs.cli.main import cli

__all__ = ["cli"]
