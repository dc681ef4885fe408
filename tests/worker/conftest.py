"""One project, and so one broker file, for each test."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.process import Project, environment


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("tests.worker.proj", None)
    proj = importlib.import_module("tests.worker.proj")
    yield Project(tmp_path, proj)
    proj.app.close()
    sys.modules.pop("tests.worker.proj", None)
