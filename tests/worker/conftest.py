"""One project, and so one broker file, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.process import Project, project_in


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with project_in(tmp_path, monkeypatch) as project:
        yield project
