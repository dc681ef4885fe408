"""The process that has Celery, asked from here: its ways take their turns like ours."""

import json
import os
import subprocess
from typing import Any

from bench.micro.inputs import ROOT

PYTHON = ROOT / ".venv-celery/bin/python"


class CelerySide:
    """Raises FileNotFoundError, naming what to install, where Celery's environment is not there."""

    def __init__(self) -> None:
        if not PYTHON.exists():
            raise FileNotFoundError(f"{PYTHON.parents[1].name} is not there: run `make test`")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bench.micro.in_celery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ways: dict[str, str] = self.ask("ways")

    def ask(self, *question: Any) -> Any:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert answers is not None
        print(json.dumps(question), file=pipe, flush=True)
        return json.loads(answers.readline())

    def close(self) -> None:
        self._process.communicate()


class There:
    """See `case.Contestant`."""

    def __init__(self, side: CelerySide, name: str) -> None:
        self.by = side.ways[name]
        self._side = side
        self._name = name

    def value(self) -> Any:
        return self._side.ask("value", self._name)

    def nanoseconds(self, seconds: float) -> float:
        nanoseconds: float = self._side.ask("time", self._name, seconds)
        return nanoseconds
