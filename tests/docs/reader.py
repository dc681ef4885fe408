"""A reader who types a page in as it stands, block by block, in an empty folder that is also the home directory."""

import doctest
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.deadlines import DEADLINE_S, eventually
from tests.docs.pages import Block

_END = "\x1e"
_INTERPRETER = Path(__file__).with_name("interpreter.py")
_MASKS = (
    # What differs from machine to machine and from run to run, on the page and on the screen alike.
    (r"\b(\w[\w.-]*)@[\w.-]+(?=[:\s]|$)", r"\1@host"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?(\+\d\d:\d\d|Z)?", "<time>"),
    (r"\b\d+\.\d+s\b", "<seconds>"),
    (r"0x[0-9a-f]+", "<address>"),
    (r"\b(pid:? )\d+", r"\1<pid>"),
    (r"PoolWorker-\d+", "PoolWorker-N"),
)


class Reader:
    """Types blocks. Whatever it has started ends with `leave`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment(folder)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._python: subprocess.Popen[str] | None = None

    def take(self, block: Block) -> None:
        """Do what the block says; AssertionError when something else happens than it says."""
        if "tested" in block.words:
            return
        if "title" in block.words:
            self._write(block.words["title"], block.text)
        elif "append" in block.words:
            self._append(block.words["append"], block.text)
        elif block.language == "console":
            self._console(block)
        elif block.language == "pycon":
            self._session(block.text)
        elif block.language == "text" and "log" in block.words:
            self._logged(block.words["log"], block.text)
        else:
            raise AssertionError(
                f"nothing says what becomes of the block at line {block.line}; see tests/docs/pages.py"
            )

    def leave(self) -> None:
        """End the session and the workers."""
        self._end_session()
        for worker in self._workers.values():
            end(worker)
        for process in _processes_in(self.folder):
            # One that a page has sent into the background, and did not come to stop.
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _write(self, name: str, text: str) -> None:
        self._end_session()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        # A file written twice within a second may otherwise be taken for its compiled predecessor.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()

    def _append(self, name: str, text: str) -> None:
        self._write(name, f"{(self.folder / name).read_text().rstrip()}\n\n\n{text}")

    def _console(self, block: Block) -> None:
        if block.text == "^C\n":
            end(self._workers.pop(block.words.get("terminal", "worker")))
            return
        steps = commands(block.text)
        if len(steps) == 1 and _runs_a_worker(steps[0][0]):
            self._start(steps[0], block.words.get("terminal", "worker"))
            return
        printed = self._typed([command for command, _ in steps])
        for (command, said), came in zip(steps, printed, strict=True):
            # `...` stands for anything but that.
            assert "Traceback" in said or "Traceback" not in came, f"$ {command}\nprinted\n{came}"
            assert matches(said, came, self.folder), f"$ {command}\nshould print\n{said}\nbut it printed\n{came}"

    def _typed(self, lines: list[str]) -> list[str]:
        """Type these lines into one shell; what each of them printed, on either stream."""
        script = "\n".join(f"{line}\nprintf '{_END}'" for line in lines)
        shell = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return shell.stdout.split(_END)[:-1]

    def _start(self, step: tuple[str, str], terminal: str) -> None:
        """Start a worker in that terminal and wait until it is ready, or has ended with what it is said to print."""
        command, said = step
        if terminal in self._workers:
            end(self._workers.pop(terminal))
        variables, words = _variables(shlex.split(command))
        log = self._log(terminal)
        with log.open("w") as output:
            worker = self._workers[terminal] = subprocess.Popen(
                words,
                cwd=self.folder,
                env=self.environment | variables,
                stdout=output,
                stderr=output,
                executable=os.fspath(Path(sys.executable).with_name(words[0])),
            )
        eventually(lambda: " ready." in log.read_text() or worker.poll() is not None)
        came = log.read_text()
        if worker.returncode is not None:
            del self._workers[terminal]
            assert said, f"$ {command}\nshould run, but it printed\n{came}"
        assert not said or matches(said, came, self.folder), (
            f"$ {command}\nshould print\n{said}\nbut it printed\n{came}"
        )

    def _logged(self, terminal: str, text: str) -> None:
        """Wait until the worker has logged these lines."""
        log = self._log(terminal)
        try:
            eventually(lambda: contains(text, log.read_text(), self.folder))
        except AssertionError:
            raise AssertionError(f"the log should have\n{text}\nbut it is\n{log.read_text()}") from None

    def _log(self, terminal: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{terminal}.log")

    def _session(self, text: str) -> None:
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, os.fspath(_INTERPRETER), str(round(DEADLINE_S))],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps(text) + "\n")
        self._python.stdin.flush()
        answer = self._python.stdout.readline()
        assert answer, "the Python session ended"
        differs = json.loads(answer)
        assert not differs, differs

    def _end_session(self) -> None:
        if self._python is not None:
            assert self._python.stdin is not None
            assert self._python.stdout is not None
            self._python.stdin.close()
            self._python.stdout.close()
            self._python.wait(DEADLINE_S)
            self._python = None


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """A reader in that folder, whose processes are gone afterwards."""
    reader = Reader(folder)
    try:
        yield reader
    finally:
        reader.leave()


def environment(home: Path) -> dict[str, str]:
    """A new user's: nothing is set, and the commands are those beside this Python."""
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is said to print; a command in quotes may go on after `> `."""
    steps: list[tuple[str, str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
            continue
        command, said = steps.pop()
        if line.startswith("> ") and _goes_on(command):
            steps.append((f"{command}\n{line[2:]}", said))
        else:
            steps.append((command, f"{said}{line}\n"))
    return steps


def _goes_on(command: str) -> bool:
    """Whether a quote is still open."""
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def end(worker: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C, and if need be worse."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGINT)
        try:
            worker.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def matches(said: str, came: str, folder: Path) -> bool:
    """Whether that was printed; `...` on the page stands for anything."""
    return bool(doctest.OutputChecker().check_output(alike(said, folder), alike(came, folder), doctest.ELLIPSIS))


def contains(said: str, came: str, folder: Path) -> bool:
    """Whether these lines are among those that were printed."""
    return matches(f"...{alike(said, folder).strip()}...", came, folder)


def alike(text: str, folder: Path) -> str:
    """Without what differs from machine to machine and from run to run."""
    text = text.replace(str(folder), "/home/you/project")
    for pattern, mask in _MASKS:
        text = re.sub(pattern, mask, text)
    # Tests may run as root, which a worker warns of and no page shows.
    lines = [line.rstrip() for line in text.splitlines() if not line.startswith("Warning: running as root")]
    return "\n".join(lines).strip() + "\n"


def _runs_a_worker(command: str) -> bool:
    """Whether the command goes on until it is stopped."""
    if set(command) & set(";|&\n"):
        return False
    words = shlex.split(command, comments=True)
    return "celery-rs" in words and "worker" in words and not {"--help", "-h", "--detach", "-D"} & set(words)


def _processes_in(folder: Path) -> list[int]:
    """The processes whose working directory that is, as far as the kernel tells (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours to look at
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


def _variables(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The `NAME=value` before a command, and the command."""
    split = next(place for place, word in enumerate(words) if "=" not in word)
    return dict(word.split("=", 1) for word in words[:split]), words[split:]
