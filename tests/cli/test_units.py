"""What docs/systemd offers to copy: systemd and logrotate take it, and the guide shows it as it is."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.running import PROJECT, environment
from tests.deadlines import DEADLINE_S
from tests.docs.pages import DOCS, blocks

UNITS = sorted((DOCS / "systemd").glob("*.service"))
INSTALLED = "/srv/proj/.venv/bin/celery-rs"
GUIDE = DOCS / "guide" / "daemonizing.md"


def conf() -> dict[str, str]:
    """What systemd makes of the environment file."""
    lines = (DOCS / "systemd" / "celery-rs.conf").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def lines(text: str) -> list[str]:
    """Without the remarks at the top, which say where the file goes."""
    return [line for number, line in enumerate(text.splitlines()) if number or not line.startswith("#")]


def command_of(unit: Path, variables: Mapping[str, str]) -> list[str]:
    """The words that systemd runs: `$NAME` alone is split into words, `${NAME}` is one."""
    (line,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    words: list[str] = []
    for word in shlex.split(line.partition("=")[2]):
        if word.startswith("$") and word[1:] in variables:
            words += variables[word[1:]].split()
            continue
        for name, value in variables.items():
            word = word.replace(f"${{{name}}}", value)
        words.append(word.replace("%i", "mail").replace("%%", "%"))
    assert words[0] == INSTALLED
    return [sys.executable, "-m", "celery_rs", *words[1:]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    # What it names must be there: this Python stands for the command, this user for the user.
    text = unit.read_text().replace(INSTALLED, sys.executable)
    text = text.replace("User=celery\nGroup=celery\n", "").replace("/srv/proj", "/")
    (tmp_path / unit.name).write_text(text)

    checked = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="there is no logrotate here")
def test_logrotate_takes_the_file(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text((DOCS / "systemd" / "celery-rs.logrotate").read_text())
    (tmp_path / "conf").chmod(0o600)

    checked = subprocess.run(
        ["logrotate", "--debug", "--state", str(tmp_path / "state"), str(tmp_path / "conf")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
    )

    assert checked.returncode == 0, checked.stderr
    assert "error" not in checked.stderr


@pytest.mark.parametrize("name", ["celery-rs.service", "celery-rs@.service"])
def test_a_service_is_ready_when_its_worker_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(PROJECT)
    command = command_of(DOCS / "systemd" / name, conf() | {"CELERYD_OPTS": "--concurrency=1"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(DEADLINE_S)

        told = environment() | {"CELERY_APP": "proj", "NOTIFY_SOCKET": str(tmp_path / "notify")}
        worker = subprocess.Popen(command, cwd=tmp_path, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            news = systemd.recv(4096).decode()
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(DEADLINE_S)
        finally:
            worker.kill()
            worker.wait()

    name_of_node = "mail" if "@" in name else "celery"
    assert news.startswith(f"READY=1\nMAINPID={worker.pid}\nSTATUS={name_of_node}@")
    assert code == 0


def test_the_service_of_several_starts_and_stops_them(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(PROJECT)
    variables = conf() | {"CELERYD_PID_FILE": "%n.pid", "CELERYD_LOG_FILE": "%n%I.log", "CELERYD_OPTS": "-c 1"}
    unit = DOCS / "systemd" / "celery-rs-multi.service"

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment() | {"CELERY_APP": "proj"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    started = run(command_of(unit, variables))
    files = {path.name for path in tmp_path.glob("*.log")}
    stop = tmp_path / "stop"
    stop.write_text(unit.read_text().replace("ExecStart=", "#").replace("ExecStop=", "ExecStart="))
    stopped = run(command_of(stop, variables))

    assert started.returncode == 0, started.stderr
    assert files == {"image.log", "image-1.log", "video.log", "video-1.log"}
    assert stopped.stdout.count(": TERM -> ") == 2


def shown(language: str, test: str) -> list[str]:
    (block,) = (
        block for block in blocks(GUIDE) if block.language == language and block.words.get("tested", "").endswith(test)
    )
    return block.text.splitlines()


def test_the_guide_shows_the_unit_as_it_is() -> None:
    unit = lines((DOCS / "systemd" / "celery-rs.service").read_text())

    assert shown("ini", "::test_the_guide_shows_the_unit_as_it_is") == unit


def test_the_guide_shows_the_rotation_as_it_is() -> None:
    rotation = lines((DOCS / "systemd" / "celery-rs.logrotate").read_text())

    assert shown("text", "::test_the_guide_shows_the_rotation_as_it_is") == rotation
