"""The table of the drop-in: its names lead somewhere, and everything that Celery documents is there or refused."""

import json
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from celery_rs.drop_in.names import HINTS, INSTRUMENTATION, NAMES, ROOTS, hint_for, names_of
from tests.deadlines import DEADLINE_S
from tests.drop_in.running import CELERY
from tests.drop_in.surface import MISSING, SURFACE, flat

# Imports each name as programs do, and says what it got: the class of what it raised, or None.
ASK = """
import importlib, json, sys
answers = {}
for name in json.load(sys.stdin):
    module, _, attribute = name.rpartition(".")
    space = {}
    try:
        exec(f"from {module} import {attribute} as found", space)
        answers[name] = None
    except Exception as error:
        answers[name] = [type(error).__name__, str(error)]
json.dump(answers, sys.stdout)
"""
INSTALLED = f"import celery_rs.drop_in\ncelery_rs.drop_in.install()\n{ASK}"


def ask(python: str, code: str, names: set[str]) -> dict[str, Any]:
    run = subprocess.run(
        [python, "-W", "ignore", "-c", code],
        input=json.dumps(sorted(names)),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    answers: dict[str, Any] = json.loads(run.stdout)
    return answers


def table() -> set[str]:
    return {f"{module}.{name}" for module in NAMES for name in names_of(module)}


@pytest.mark.parametrize("module", sorted(NAMES))
def test_every_name_of_the_table_leads_somewhere(module: str) -> None:
    for name, ours in names_of(module).items():
        assert hasattr(import_module(ours.module), ours.name), f"{module}.{name} → {ours}"


def test_every_module_of_the_table_has_its_parent_there() -> None:
    orphans = [name for name in NAMES if "." in name and name.rpartition(".")[0] not in NAMES]

    assert orphans == []
    assert set(ROOTS) == {"celery", "kombu", "billiard"}


def test_every_documented_name_can_be_imported_or_is_refused_by_name() -> None:
    answers = ask(sys.executable, INSTALLED, flat(SURFACE) | table())

    refused = {name for name, error in answers.items() if error is not None}
    assert refused == flat(MISSING)
    for name in refused:
        kind, sentence = answers[name]
        assert kind == "ImportError"
        assert sentence.startswith("celery_rs has no equivalent of "), sentence
        assert name.startswith(sentence.split()[5].rstrip(":")), sentence
        assert sentence.endswith("(see docs/migrating)")


@pytest.mark.skipif(not CELERY.exists(), reason="there is no real Celery in .venv-celery: run `make test`")
def test_celery_itself_has_every_name_of_the_table() -> None:
    answers = ask(str(CELERY), ASK, table())

    assert {name: error for name, error in answers.items() if error is not None} == {}


def test_hints_are_for_names_that_are_not_there() -> None:
    assert HINTS.keys().isdisjoint(table())
    assert HINTS.keys().isdisjoint(name for name in NAMES if names_of(name))
    assert INSTRUMENTATION.keys().isdisjoint(NAMES)
    assert hint_for("celery.contrib.testing.worker.start_worker") == HINTS["celery.contrib.testing"]
    assert hint_for("celery.nothing") == ""
