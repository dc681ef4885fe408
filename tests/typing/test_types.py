"""What type checkers make of programs that use tasks: `cases/` are such programs, right ones and wrong ones.

A wrong line says which errors it must have: `# expect: mypy[arg-type] pyright[reportArgumentType]`. An error that is
expected and does not come is a failure, and so is one that nobody expects.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.deadlines import DEADLINE_S

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.py"))
PACKAGE = HERE.parents[1] / "python"

Errors = Counter[tuple[str, int, str]]
"""(file, line, rule), as often as reported."""

_EXPECTED = re.compile(r"# expect:(.*)")
_RULES = re.compile(r"(\w+)\[([\w, -]+)\]")
_REPORTED = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<rule>[\w-]+)\]$")


def expected(checker: str) -> Errors:
    """What the comments say."""
    found: Errors = Counter()
    for case in CASES:
        for number, line in enumerate(case.read_text().splitlines(), 1):
            comment = _EXPECTED.search(line)
            for name, rules in _RULES.findall(comment[1]) if comment else ():
                if name == checker:
                    found.update((case.name, number, rule.strip()) for rule in rules.split(","))
    return found


def reported_by_mypy() -> Errors:
    """What `mypy --strict` says, with the package as its users have it."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.11"]
    shown = ["--follow-imports=silent", "--no-pretty", "--no-error-summary", "--hide-error-context"]
    run = subprocess.run(
        [*command, *shown, *(case.name for case in CASES)],
        cwd=HERE / "cases",
        env=os.environ | {"MYPYPATH": str(PACKAGE), "MYPY_CACHE_DIR": str(HERE.parents[1] / ".mypy_cache" / "cases")},
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_S,
        check=False,
    )
    lines = [line for line in run.stdout.splitlines() if ": note: " not in line]
    matches = [_REPORTED.match(line) for line in lines]
    assert None not in matches, run.stdout + run.stderr
    return Counter((found["file"], int(found["line"]), found["rule"]) for found in matches if found is not None)


def reported_by_pyright() -> Errors:
    """What pyright says in its strict mode; see pyrightconfig.json."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(HERE)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False)
    answer = json.loads(run.stdout)
    assert answer["summary"]["filesAnalyzed"] == len(CASES), run.stdout
    return Counter(
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1, found["rule"])
        for found in answer["generalDiagnostics"]
        if found["severity"] == "error"
    )


@pytest.mark.parametrize(
    ("checker", "reported"), [("mypy", reported_by_mypy), ("pyright", reported_by_pyright)], ids=["mypy", "pyright"]
)
def test_right_programs_are_accepted_and_wrong_ones_refused(checker: str, reported: object) -> None:
    assert callable(reported)

    said, wanted = reported(), expected(checker)

    assert {"unexpected": said - wanted, "did not come": wanted - said} == {
        "unexpected": Counter(),
        "did not come": Counter(),
    }


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "celery_rs" / "py.typed").exists()


def test_every_wrong_line_is_refused_by_both() -> None:
    lines = [line for case in CASES for line in case.read_text().splitlines() if _EXPECTED.search(line)]

    assert lines
    assert [line for line in lines if not ("mypy[" in line and "pyright[" in line)] == []
