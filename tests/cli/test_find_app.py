"""From `-A` to the app."""

import pytest

from celery_rs.app import Celery
from celery_rs.cli.find_app import find_app
from tests.cli.conftest import Run, Write, error_of

APP = "from celery_rs import Celery\n{name} = Celery('{main}', broker='memory://')\n"


def app_named(name: str, main: str = "found") -> str:
    return APP.format(name=name, main=main)


@pytest.mark.parametrize(
    ("files", "spec"),
    [
        ({"proj_a.py": app_named("app")}, "proj_a"),
        ({"proj_b.py": app_named("celery")}, "proj_b"),
        ({"proj_c.py": app_named("whatever")}, "proj_c"),
        ({"proj_d.py": app_named("mine")}, "proj_d:mine"),
        ({"proj_e.py": app_named("mine")}, "proj_e.mine"),
        ({"proj_f.py": app_named("app", "other") + app_named("mine")}, "proj_f:mine"),
        ({"proj_g.py": app_named("app") + app_named("celery", "other")}, "proj_g"),
        ({"proj_h/__init__.py": "", "proj_h/celery.py": app_named("app")}, "proj_h"),
        ({"proj_i/__init__.py": "", "proj_i/tasks.py": app_named("app")}, "proj_i.tasks"),
        ({"proj_j/__init__.py": "from proj_j import tasks as app", "proj_j/tasks.py": app_named("app")}, "proj_j:app"),
        ({"proj_k.py": "class space:\n    " + app_named("app").replace("\n", "\n    ")}, "proj_k:space.app"),
        ({"proj_l.py": app_named("app") + "twin = app\ndel app\nagain = twin\n"}, "proj_l"),
    ],
)
def test_the_app_is_found_where_celery_finds_it(write: Write, files: dict[str, str], spec: str) -> None:
    write(files)

    found = find_app(spec)

    assert isinstance(found, Celery)
    assert found.main == "found"


FOREIGN = "import sys, types\nclass Celery: pass\nCelery.__module__ = 'celery.app.base'\napp = Celery()\n"

WRONG = [
    ({}, "nowhere", "there is no module 'nowhere' in"),
    ({}, "nowhere.tasks", "there is no module 'nowhere' in"),
    ({}, "nowhere:app", "there is no module 'nowhere' in"),
    ({"p_a.py": ""}, "p_a.tasks", "module 'p_a' has no 'tasks'; add `app = Celery('p_a')`"),
    ({"p_b.py": ""}, "p_b", "module 'p_b' has no app; add `app = Celery('p_b')` to it"),
    ({"p_c.py": app_named("mine")}, "p_c:app", "module 'p_c' has no 'app'; there is `-A p_c:mine`"),
    ({"p_d.py": "app = 5"}, "p_d:app", "expected 'app' to be an app, got a builtins.int; add"),
    ({"p_e.py": "def app(): ..."}, "p_e:app", "expected 'app' to be an app, got the function 'app'"),
    (
        {"p_f.py": app_named("one") + app_named("two")},
        "p_f",
        "expected one app in module 'p_f', got 'one', 'two'; name one: `-A p_f:one`",
    ),
    (
        {"p_g.py": FOREIGN},
        "p_g",
        "'app' there is a celery.app.base.Celery; import Celery from celery_rs instead, or set CELERY_RS_DROP_IN=1",
    ),
    ({"p_h.py": "x = 1\nx = (\n"}, "p_h", "importing 'p_h' failed with SyntaxError: '(' was never closed (p_h.py:2)"),
    ({"p_i.py": "\n\n1 / 0\n"}, "p_i", "importing 'p_i' failed with ZeroDivisionError: division by zero (p_i.py:3)"),
    (
        {"p_j/__init__.py": "from p_j import inner", "p_j/inner.py": "\nimport json\njson.loads('{')"},
        "p_j",
        "(p_j/inner.py:3)",
    ),
    ({"p_k.py": "import not_installed_k"}, "p_k", "ModuleNotFoundError: No module named 'not_installed_k' (p_k.py:1)"),
    (
        {"p_l.py": "raise SystemExit('no config')"},
        "p_l",
        "importing 'p_l' failed with SystemExit: no config (p_l.py:1)",
    ),
    ({"p_m.py": "raise ValueError('two\\nlines')"}, "p_m", "ValueError: two lines (p_m.py:1)"),
    ({"p_n.py": "x = '\x00'"}, "p_n", "importing 'p_n' failed with"),
    (
        {"p_o/__init__.py": "", "p_o/celery.py": "boom"},
        "p_o",
        "NameError: name 'boom' is not defined (p_o/celery.py:1)",
    ),
    ({"p_q.py": "from celery_rs import Celery\napp = Celery(brokr_url='x')"}, "p_q", "(p_q.py:2)"),
    ({"p_r.py": ""}, "p_r.py", "expected a module's name, got a path; write `-A p_r`"),
    ({"p_s/t.py": ""}, "./p_s/t.py", "expected a module's name, got a path; write `-A p_s.t`"),
    ({}, ".tasks", "expected a module's name such as 'proj' or 'proj.tasks:app'"),
    ({}, ":app", "expected a module's name such as"),
    ({}, "a..b", "expected a module's name such as"),
]


@pytest.mark.parametrize("command", ["worker", "status"])
@pytest.mark.parametrize(("files", "spec", "said"), WRONG, ids=[spec for _, spec, _ in WRONG])
def test_what_is_wrong_with_the_app_is_one_line(
    write: Write, run: Run, files: dict[str, str], spec: str, said: str, command: str
) -> None:
    write(files)

    error = error_of(run("-A", spec, command), 2)

    assert error.startswith(f"-A {spec}: ")
    assert said in error


def test_the_working_directory_comes_before_other_modules(write: Write) -> None:
    write({"antigravity.py": app_named("app")})

    assert find_app("antigravity").main == "found"


def test_workdir_is_where_the_module_is_looked_for(write: Write, run: Run) -> None:
    write({"below/p_below.py": "1/0"})

    assert "(p_below.py:1)" in error_of(run("--workdir", "below", "-A", "p_below", "status"), 2)


def test_without_an_app_the_worker_says_what_to_do(run: Run) -> None:
    error = error_of(run("worker"), 2)

    assert error == ("expected an app to take tasks from, got none; name its module: `celery-rs -A proj worker`")


@pytest.mark.parametrize("command", [("status",), ("purge", "-f"), ("result", "x"), ("inspect", "ping"), ("call", "x")])
def test_without_app_and_broker_the_others_say_what_to_do(run: Run, command: tuple[str, ...]) -> None:
    error = error_of(run(*command), 2)

    assert error.startswith("expected an app or a broker, got neither")
    assert f"`celery-rs -b URL {command[0]}`" in error
