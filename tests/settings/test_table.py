"""The table of settings against the facts about Celery, and against what it says of itself."""

import ast
import json
import re
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import click
import pytest

from celery_rs.cli.worker import worker
from celery_rs.config import BY_NAME, GROUPS, NOT_YET, OLD_NAMES, REFUSED, SETTINGS, WORKS, Setting

ROOT = Path(__file__).parents[2]
FACTS = json.loads((ROOT / "tests/fixtures/settings.json").read_text(encoding="utf-8"))
DECLARED: dict[str, dict[str, Any]] = FACTS["declared"]
UNDECLARED: list[str] = FACTS["undeclared"]
OURS = {"strict_config", "task_max_crashes", "task_max_deliveries"}

OTHER_DEFAULTS = {"worker_prefetch_multiplier": None}
"""Where we differ on purpose: the window adapts to how long tasks take (decision 7)."""


def of_state(state: str) -> list[Setting]:
    return [setting for setting in SETTINGS if setting.state == state]


@cache
def functions_of(path: str) -> dict[str, str]:
    """Name → source, with what stands above it."""
    source = (ROOT / path).read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {
        node.name: "\n".join(ast.get_source_segment(source, part) or "" for part in (*node.decorator_list, node))
        for node in functions
    }


def test_every_setting_of_celery_has_a_row_and_no_other_has() -> None:
    assert BY_NAME.keys() == DECLARED.keys() | set(UNDECLARED) | OURS
    assert len(SETTINGS) == len(BY_NAME)
    assert len(DECLARED) == 207


@pytest.mark.parametrize("name", DECLARED)
def test_a_setting_has_celerys_old_name_and_default(name: str) -> None:
    fact, setting = DECLARED[name], BY_NAME[name]
    default = tuple(fact["default"]) if isinstance(fact["default"], list) else fact["default"]

    assert setting.old == fact["old"]
    if default == "...":
        assert isinstance(setting.default, str)
    else:
        assert setting.default == OTHER_DEFAULTS.get(name, inf if default == "inf" else default)


def test_an_old_name_means_one_setting() -> None:
    old = [setting.old for setting in SETTINGS if setting.old not in ("", "=")]

    assert len(old) == len(set(old))
    assert {name: OLD_NAMES[name] for name in old} == {s.old: s.name for s in SETTINGS if s.old in old}


@pytest.mark.parametrize("setting", of_state(WORKS), ids=lambda setting: setting.name)
def test_a_setting_that_works_names_the_test_that_shows_it(setting: Setting) -> None:
    path, _, name = setting.proof.partition("::")

    assert name in functions_of(path)
    assert any(called in functions_of(path)[name] for called in (setting.name, setting.name.replace("_", ".", 1)))
    assert setting.why == ""


@pytest.mark.parametrize("setting", [*of_state(REFUSED), *of_state(NOT_YET)], ids=lambda setting: setting.name)
def test_a_setting_that_does_not_work_says_what_to_do_instead(setting: Setting) -> None:
    assert setting.why
    assert "\n" not in setting.why
    assert not setting.why.endswith(".")
    assert setting.proof == ""


def test_every_row_is_of_one_group_and_says_what_it_is_for() -> None:
    assert sum(map(len, GROUPS.values())) == len(SETTINGS)
    assert [setting.name for setting in SETTINGS if not setting.help or setting.help.endswith(".")] == []


def test_few_settings_are_not_there_yet() -> None:
    assert len(of_state(NOT_YET)) <= 60


def test_what_the_tutorial_names_works() -> None:
    pages = [*ROOT.glob("README*.md"), *ROOT.glob("docs/tutorial/**/*.md"), *ROOT.glob("docs/zh/**/*.md")]
    words = {word for page in pages for word in re.findall(r"\b[a-z][a-z0-9_]+\b", page.read_text(encoding="utf-8"))}

    assert pages
    assert [setting.name for setting in of_state(NOT_YET) if "_" in setting.name and setting.name in words] == []


def test_what_the_worker_has_an_option_for_works() -> None:
    """Hidden options are those that are refused by name."""
    options = {option.name for option in worker.params if isinstance(option, click.Option) and not option.hidden}
    named = {f"{prefix}_{option}" for prefix in ("worker", "task", "beat") for option in options}

    assert "worker_concurrency" in named
    assert [setting.name for setting in of_state(NOT_YET) if setting.name in named | {"worker_state_db"}] == []


@pytest.mark.parametrize(
    "name",
    [
        "task_serializer",
        "result_serializer",
        "accept_content",
        "timezone",
        "enable_utc",
        "task_routes",
        "task_annotations",
        "broker_url",
        "result_backend",
        "imports",
        "include",
        "task_default_queue",
        "task_track_started",
        "result_expires",
        "worker_concurrency",
        "worker_state_db",
        "worker_pool",
    ],
)
def test_the_first_settings_that_people_meet_work(name: str) -> None:
    assert BY_NAME[name].state == WORKS
