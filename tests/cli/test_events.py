"""`celery-rs events --dump`: a line for each event."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from celery_rs.cli.events import Lines
from tests.cli.conftest import Run, error_of
from tests.cli.running import PROJECT, RunningWorker, celery_rs, environment
from tests.deadlines import DEADLINE_S


def test_without_dump_there_is_nothing_to_see(run: Run, broker: str) -> None:
    assert error_of(run("-b", broker, "events"), 2) == (
        "the monitor on the terminal is not there; print the events with --dump, or use Flower"
    )


@pytest.mark.parametrize("words", [("-c", "camera"), ("--freq", "2"), ("-r", "1/m"), ("--detach",)])
def test_what_events_does_not_do_is_refused_by_name(run: Run, broker: str, words: tuple[str, ...]) -> None:
    assert "is not supported yet" in error_of(run("-b", broker, "events", "--dump", *words), 2)


def test_an_event_is_a_line() -> None:
    lines = Lines()
    common = {"hostname": "w1@h", "timestamp": 1795352703.5, "utcoffset": 0.0, "local_received": 1.0, "clock": 3}

    said = [
        lines.of({**common, "type": "worker-online", "active": 0}),
        lines.of({**common, "type": "task-received", "uuid": "id-1", "name": "proj.add", "args": "(2, 2)"}),
        lines.of({**common, "type": "task-succeeded", "uuid": "id-1", "result": "4"}),
        lines.of({**common, "type": "worker-heartbeat", "timestamp": "soon"}),
    ]

    assert said == [
        "w1@h [2026-11-22 13:05:03.500000+00:00] started: active=0, clock=3",
        "w1@h [2026-11-22 13:05:03.500000+00:00] task received: proj.add(id-1) args='(2, 2)', clock=3",
        "w1@h [2026-11-22 13:05:03.500000+00:00] task succeeded: proj.add(id-1) clock=3, result='4'",
        "w1@h ['soon'] heartbeat: clock=3",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_events_of_a_worker_are_printed_as_they_come(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "proj.py").write_text(PROJECT)
    worker = RunningWorker(tmp_path, "-E", "-c", "1", "--without-heartbeat")
    dump = subprocess.Popen(
        [sys.executable, "-u", "-m", "celery_rs", "-A", "proj", "events", "--dump", *(["--json"] if as_json else [])],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert dump.stdout is not None
        if as_json:
            assert json.loads(dump.stdout.readline())["type"] == "worker-heartbeat"  # it asks for one
        else:
            assert dump.stdout.readline() == "-> evdump: starting capture...\n"
            assert " heartbeat: " in dump.stdout.readline()
        assert celery_rs(tmp_path, "call", "proj.add", "-a", "[2, 2]").returncode == 0
        line = dump.stdout.readline()
    finally:
        dump.terminate()
        dump.communicate(timeout=DEADLINE_S)
        worker.kill()

    assert (json.loads(line)["name"] == "proj.add") if as_json else ("task received: proj.add(" in line)
