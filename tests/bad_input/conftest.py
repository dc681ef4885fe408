"""The command line in a project directory, as for its other tests."""

from tests.cli.conftest import broker, project, run, write

__all__ = ["broker", "project", "run", "write"]
