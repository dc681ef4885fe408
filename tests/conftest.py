"""What every test begins with: no task of another test, which apps made later would take over."""

from collections.abc import Iterator

import pytest

from celery_rs.app.shared import nothing_shared


@pytest.fixture(autouse=True)
def _no_shared_tasks() -> Iterator[None]:
    with nothing_shared():
        yield
