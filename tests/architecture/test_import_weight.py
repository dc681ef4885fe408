"""`import celery_rs` stays light: clients are web processes and command lines.

What is asserted is what gets loaded, not how long it takes: a clock would make the test depend on the machine.
"""

import subprocess
import sys

import pytest

from tests.deadlines import DEADLINE_S

HEAVY = ("asyncio", "click", "django", "hiredis", "multiprocessing", "pika", "redis", "sqlite3")


def loaded_by(code: str) -> set[str]:
    script = f"import sys; before = set(sys.modules)\n{code}\nprint('\\n'.join(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import celery_rs", "from celery_rs import Celery; Celery('proj', broker='memory://')"],
    ids=["import", "an app"],
)
def test_what_a_client_does_not_need_is_not_loaded(code: str) -> None:
    loaded = loaded_by(code)

    assert loaded.isdisjoint(HEAVY)
    assert not {name for name in loaded if name.startswith(("celery_rs.worker", "celery_rs.cli"))}
