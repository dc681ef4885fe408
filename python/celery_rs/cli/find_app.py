"""From `-A proj.tasks` to the app: where to look, and one line for everything that can be wrong with it.

The order is Celery's: `module:name` and `module.name` are taken at their word; in a module, `app`, then `celery`, then
(of a package) the module `celery` inside it, then the only app there is. The working directory is on the path.
"""

import importlib
import os
import sys
import sysconfig
import traceback
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from celery_rs.app import Celery
from celery_rs.cli.output import ExitCode, Failure

_CELERYS = frozenset({"celery", "kombu", "billiard"})


class BadApp(Failure):
    """`-A` does not lead to an app."""

    def __init__(self, spec: str, problem: str) -> None:
        super().__init__(f"-A {spec}: {problem}", ExitCode.USAGE)


def find_app(spec: str) -> Celery:
    """The app that `spec` names. Raises BadApp."""
    put_working_directory_on_path()
    _check_spelling(spec)
    if ":" in spec:
        name, _, attribute = spec.partition(":")
        module = _imported(spec, name)
        return _app_at(spec, module, attribute) if attribute else _app_in(spec, module)
    whole = _module_or_none(spec, spec)
    if whole is not None:
        return _app_in(spec, whole)
    parent, _, attribute = spec.rpartition(".")
    if not parent:
        raise BadApp(spec, _no_module(spec))
    return _app_at(spec, _imported(spec, parent), attribute)


def put_working_directory_on_path() -> None:
    """Make modules of the working directory importable, before all others."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def describe_import_error(error: BaseException) -> str:
    """`ValueError: no (proj/tasks.py:3)`: what was raised, and where in the user's code."""
    place = _place(error)
    return f"{_summary(error)}{f' ({place})' if place else ''}"


def _check_spelling(spec: str) -> None:
    if "/" in spec or spec.endswith(".py"):
        better = spec.removesuffix(".py").strip("./").replace("/", ".")
        raise BadApp(spec, f"expected a module's name, got a path; write `-A {better}`")
    if not all(spec.partition(":")[0].split(".")):
        raise BadApp(spec, "expected a module's name such as 'proj' or 'proj.tasks:app'")


def _imported(spec: str, name: str) -> ModuleType:
    module = _module_or_none(spec, name)
    if module is None:
        raise BadApp(spec, _no_module(name))
    return module


def _module_or_none(spec: str, name: str) -> ModuleType | None:
    """The module, or None when there is none of that name; an import that fails in the user's code is BadApp."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        failure: BaseException = error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code: it may raise anything, or call sys.exit()
        failure = error
    raise BadApp(spec, f"importing {name!r} failed with {describe_import_error(failure)}; {_remedy(failure)}")


def _remedy(failure: BaseException) -> str:
    if isinstance(failure, ModuleNotFoundError) and failure.name in _CELERYS:
        return "set CELERY_RS_DROP_IN=1 to have celery-rs stand in for Celery"
    return "correct that first"


def _no_module(name: str) -> str:
    return f"there is no module {name!r} in {os.getcwd()} or on the Python path; check the name and the directory"


def _app_at(spec: str, module: ModuleType, attribute: str) -> Celery:
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        raise BadApp(spec, f"module {module.__name__!r} has no {attribute!r}; {_offer(module)}") from None
    if isinstance(found, ModuleType):
        return _app_in(spec, found)
    if not isinstance(found, Celery):
        raise BadApp(spec, f"expected {attribute!r} to be an app, got {_kind(found)}; {_offer(module)}")
    return found


def _app_in(spec: str, module: ModuleType) -> Celery:
    for usual in ("app", "celery"):
        found = getattr(module, usual, None)
        if isinstance(found, Celery):
            return found
    if hasattr(module, "__path__"):
        inner = _module_or_none(spec, f"{module.__name__}.celery")
        if inner is not None:
            return _app_in(spec, inner)
    apps = _apps(module)
    if len(set(map(id, apps.values()))) > 1:
        names = ", ".join(map(repr, apps))
        first = f"{module.__name__}:{next(iter(apps))}"
        raise BadApp(spec, f"expected one app in module {module.__name__!r}, got {names}; name one: `-A {first}`")
    for app in apps.values():
        return app
    raise BadApp(spec, f"module {module.__name__!r} has no app; {_offer(module)}")


def _apps(module: ModuleType) -> dict[str, Celery]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Celery)}


def _offer(module: ModuleType) -> str:
    """What to do instead: the apps there are, or how to make one."""
    names = [f"`-A {module.__name__}:{name}`" for name in _apps(module)]
    if names:
        return f"there is {' and '.join(names)}"
    for name, value in vars(module).items():
        if not isinstance(value, type) and type(value).__module__.split(".")[0] == "celery":
            return f"{name!r} there is {_kind(value)}; import Celery from celery_rs instead, or set CELERY_RS_DROP_IN=1"
    return f"add `app = Celery({module.__name__.split('.')[0]!r})` to it, or name the module that has one"


def _kind(value: Any) -> str:
    if callable(value) and not isinstance(value, type) and hasattr(value, "__name__"):
        return f"the function {value.__name__!r}"
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def _summary(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).strip() or type(error).__name__


def _place(error: BaseException) -> str | None:
    """The deepest line of code that is the user's own: not Python's, not a package's, not ours."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not _is_foreign(frame.filename)]
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else None


_FOREIGN = tuple(
    {*(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))}
    | {str(Path(__file__).parent.parent)}
)


def _is_foreign(filename: str) -> bool:
    return any(Path(filename).is_relative_to(folder) for folder in _FOREIGN)


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
