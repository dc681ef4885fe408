"""A project directory of one's own, and the command line run in it."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from celery_rs.app.logging import Logging
from celery_rs.cli import cli

Run = Callable[..., Result]
Write = Callable[[Mapping[str, str]], None]


@contextmanager
def _imports_forgotten() -> Iterator[None]:
    modules, path = dict(sys.modules), list(sys.path)
    try:
        yield
    finally:
        for name in set(sys.modules) - set(modules):
            if not name.startswith("celery_rs"):
                del sys.modules[name]
        sys.path[:] = path


@contextmanager
def _log_as_it_was() -> Iterator[None]:
    """A worker sets up the log of its process, which is the tests' here."""
    found = [logging.getLogger(name) for name in (None, "celery.task", "celery.redirected")]
    kept = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in found]
    done = Logging._done
    Logging._done = False
    try:
        yield
    finally:
        Logging._done = done
        logging.captureWarnings(False)
        for logger, handlers, level, propagate in kept:
            for added in set(logger.handlers) - set(handlers):
                added.close()
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; modules imported from it are forgotten afterwards, as are changes to the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if "CELERY" in name or name in ("APP", "BROKER_URL", "RESULT_BACKEND", "CONFIG_MODULE", "NO_COLOR"):
            del os.environ[name]
    with _imports_forgotten(), _log_as_it_was():
        yield tmp_path


@pytest.fixture
def write(project: Path) -> Write:
    """Write modules by name; `/` makes packages."""

    def write(files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.fixture
def run(project: Path) -> Run:
    """`run("-A", "proj", "status")` in this process."""

    def run(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, arguments, input=input, prog_name="celery-rs")

    return run


@pytest.fixture
def broker() -> str:
    """The URL of a broker in this process that nobody else uses."""
    return f"memory://{uuid4().hex}"


def error_of(result: Result, code: int) -> str:
    """The one line in which a command said what was wrong, without its `Error: `."""
    assert result.exit_code == code, (result.output, result.exception)
    assert result.stderr.startswith("Error: "), result.output
    assert result.stderr.count("\n") == 1, result.output
    return result.stderr.removeprefix("Error: ").rstrip("\n")
