"""A child that asked for it dies with its parent, whatever kills that."""

import os
import select
import sys
from subprocess import PIPE, Popen

import pytest

# The grandchild holds our end of the pipe open for as long as it lives.
PARENT = """
import os, signal, sys
from celery_rs._core import die_with_parent

if os.fork() == 0:
    die_with_parent()
    os.write(1, b"ready")
    signal.pause()
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere die_with_parent does nothing")
def test_a_child_dies_with_its_parent() -> None:
    with Popen([sys.executable, "-c", PARENT], stdout=PIPE) as parent:
        assert parent.stdout is not None
        assert os.read(parent.stdout.fileno(), 5) == b"ready"

        parent.kill()

        readable, _, _ = select.select([parent.stdout], [], [], 30)
        assert readable, "the child still holds the pipe"
        assert os.read(parent.stdout.fileno(), 1) == b""
