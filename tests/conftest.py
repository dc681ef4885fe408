"""What every test begins with: no task of another test, which apps made later would take over, and no default app."""

from collections.abc import Iterator

import pytest

from celery_rs import context
from celery_rs.app.shared import nothing_shared


@pytest.fixture(autouse=True)
def _nothing_of_other_tests() -> Iterator[None]:
    with nothing_shared(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "_default_app", None)
        yield
