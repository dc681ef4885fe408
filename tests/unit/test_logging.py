"""The log of a worker: who gets which lines, in which form, and what is printed."""

import io
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import celery_rs
from celery_rs import context, signals
from celery_rs.app import ColorFormatter, Logging, TaskFormatter, get_task_logger, level_of
from celery_rs.app.log_files import LogFile
from celery_rs.app.log_streams import LoggingProxy
from celery_rs.config import Settings
from celery_rs.errors import ImproperlyConfigured

LOGGERS = (None, "celery", "celery.task", "celery.redirected")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loggers, streams and variables as they were, afterwards."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for variable in [name for name in os.environ if name.startswith("CELERY_LOG") or name == "NO_COLOR"]:
        del os.environ[variable]
    found = [logging.getLogger(name) for name in LOGGERS]
    kept = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in found]
    monkeypatch.setattr(Logging, "_done", False)
    monkeypatch.setattr(Logging, "_added", [])
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    yield
    logging.captureWarnings(False)
    for logger, handlers, level, propagate in kept:
        for added in set(logger.handlers) - set(handlers):
            added.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def log(**settings: Any) -> Logging:
    return Logging(SimpleNamespace(conf=Settings(settings)))


def test_lines_have_celerys_format(tmp_path: Path) -> None:
    log().setup("INFO", str(tmp_path / "log"))

    logging.getLogger("any").info("heard %s", 1)
    logging.getLogger("any").debug("not heard")

    line = (tmp_path / "log").read_text()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: INFO/MainProcess\] heard 1\n", line)


def test_lines_of_a_task_name_it(tmp_path: Path) -> None:
    log().setup("INFO", str(tmp_path / "log"))

    with context.running(SimpleNamespace(task="proj.add", id="id-1")):
        get_task_logger("proj.tasks").info("inside")
    get_task_logger("proj.tasks").info("outside")

    inside, outside = (tmp_path / "log").read_text().splitlines()
    assert inside.endswith("INFO/MainProcess] proj.add[id-1]: inside")
    assert outside.endswith("???[???]: outside")


def test_the_format_is_a_setting(tmp_path: Path) -> None:
    log(worker_log_format="%(levelname)s|%(message)s").setup("INFO", str(tmp_path / "log"))

    logging.getLogger("any").info("heard")

    assert (tmp_path / "log").read_text() == "INFO|heard\n"


def test_the_task_format_is_a_setting(tmp_path: Path) -> None:
    log(worker_task_log_format="%(task_name)s|%(message)s").setup("INFO", str(tmp_path / "log"))

    get_task_logger("proj").info("heard")

    assert (tmp_path / "log").read_text() == "???|heard\n"


def test_the_date_format_is_a_setting(tmp_path: Path) -> None:
    log(worker_log_format="%(asctime)s|%(message)s", worker_log_datefmt="%Y").setup("INFO", str(tmp_path / "log"))

    logging.getLogger("any").info("heard")

    assert re.fullmatch(r"\d{4}\|heard\n", (tmp_path / "log").read_text())


def test_the_date_format_of_tasks_is_a_setting(tmp_path: Path) -> None:
    settings = {"worker_task_log_format": "%(asctime)s|%(message)s", "worker_task_log_datefmt": "day %d"}
    log(**settings).setup("INFO", str(tmp_path / "log"))

    get_task_logger("proj").info("heard")

    assert re.fullmatch(r"day \d\d\|heard\n", (tmp_path / "log").read_text())


@pytest.mark.parametrize("setting", ["worker_log_format", "worker_task_log_format"])
def test_a_format_that_fails_is_refused_by_its_setting(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{setting} must be a format such as .*, got '%\(nosuch\)s'"):
        log(**{setting: "%(nosuch)s"}).setup()


def test_a_log_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)

    with pytest.raises(OSError, match="No such file"):
        log().setup("INFO", str(tmp_path / "no" / "log"))

    assert logging.getLogger().handlers == before
    assert not log().already_setup


def test_whoever_comes_second_changes_nothing(tmp_path: Path) -> None:
    log().setup("INFO", str(tmp_path / "log"))

    assert log().setup("INFO", str(tmp_path / "other")) is None
    assert not (tmp_path / "other").exists()


def test_a_second_file_takes_the_place_of_the_first_when_asked(tmp_path: Path) -> None:
    log(worker_hijack_root_logger=False).setup("INFO", str(tmp_path / "log"))

    log().already_setup = False
    log(worker_hijack_root_logger=False).setup("INFO", str(tmp_path / "other"))
    get_task_logger("proj").info("heard")

    assert (tmp_path / "log").read_text() == ""
    assert "heard" in (tmp_path / "other").read_text()


def test_handlers_of_the_project_go_when_the_root_is_hijacked(tmp_path: Path) -> None:
    own = logging.StreamHandler()
    logging.getLogger().addHandler(own)

    log().setup("INFO", str(tmp_path / "log"))

    assert own not in logging.getLogger().handlers


def test_handlers_of_the_project_stay_when_the_root_is_not_hijacked(tmp_path: Path) -> None:
    heard = io.StringIO()
    logging.getLogger().handlers[:] = [logging.StreamHandler(heard)]

    log(worker_hijack_root_logger=False).setup("INFO", str(tmp_path / "log"))
    logging.getLogger("any").info("heard")

    assert heard.getvalue() == "heard\n"
    assert (tmp_path / "log").read_text() == ""


def test_warnings_are_logged(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log().setup("INFO", str(tmp_path / "log"))
        warnings.warn("beware", stacklevel=1)
        logging.captureWarnings(False)

    assert "WARNING/MainProcess] " in (tmp_path / "log").read_text()
    assert "UserWarning: beware" in (tmp_path / "log").read_text()


def test_other_processes_are_told_by_variables(tmp_path: Path) -> None:
    log().setup("ERROR", str(tmp_path / "log"), redirect_stdouts=True, redirect_level="INFO")

    told = {name: value for name, value in os.environ.items() if name.startswith("CELERY_LOG")}
    assert told == {
        "CELERY_LOG_LEVEL": "40",
        "CELERY_LOG_FILE": str(tmp_path / "log"),
        "CELERY_LOG_REDIRECT": "1",
        "CELERY_LOG_REDIRECT_LEVEL": "INFO",
    }


# receivers


def test_a_receiver_of_setup_logging_takes_its_place(tmp_path: Path) -> None:
    told: list[Any] = []

    def receive(**named: Any) -> None:
        told.append(named)

    signals.setup_logging.connect(receive)
    try:
        before = list(logging.getLogger().handlers)
        handled = log().setup("INFO", str(tmp_path / "log"), redirect_stdouts=True)
    finally:
        signals.setup_logging.disconnect(receive)

    assert handled == [(receive, None)]
    assert [(named["loglevel"], named["logfile"], named["colorize"]) for named in told] == [
        (20, str(tmp_path / "log"), False)
    ]
    assert logging.getLogger().handlers == before
    assert not isinstance(sys.stdout, LoggingProxy)
    assert not (tmp_path / "log").exists()


def test_receivers_may_add_to_what_was_set_up(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def receive(**named: Any) -> None:
        told[named["signal"].name] = (named["logger"].name, named["loglevel"], named["format"])

    signals.after_setup_logger.connect(receive)
    signals.after_setup_task_logger.connect(receive)
    try:
        log(worker_log_format="a%(message)s", worker_task_log_format="b%(message)s").setup(
            "INFO", str(tmp_path / "log")
        )
    finally:
        signals.after_setup_logger.disconnect(receive)
        signals.after_setup_task_logger.disconnect(receive)

    assert told == {
        "after_setup_logger": ("root", 20, "a%(message)s"),
        "after_setup_task_logger": ("celery.task", 20, "b%(message)s"),
    }


# levels and loggers


@pytest.mark.parametrize(
    ("given", "level"), [("info", 20), ("FATAL", 50), ("Warn", 30), (10, 10), (None, 30), ("", 30)]
)
def test_a_level_is_a_name_or_a_number(given: Any, level: int) -> None:
    assert level_of(given) == level


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"expected a log level .*, got 'loud'"):
        level_of("loud")


@pytest.mark.parametrize("name", ["celery", "celery.task"])
def test_celerys_own_loggers_are_no_task_loggers(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"got '{name}'; write get_task_logger"):
        get_task_logger(name)


def test_a_task_logger_is_a_child_of_celerys() -> None:
    assert celery_rs.get_task_logger("unheard.of").parent is logging.getLogger("celery.task")
    assert get_task_logger("celery.task.own").name == "celery.task.own"


# colours


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("level", "code"), [("debug", 34), ("warning", 33), ("error", 31), ("critical", 35), ("info", None)]
)
def test_each_level_has_its_colour(level: str, code: int | None) -> None:
    record = logging.makeLogRecord({"msg": "x", "levelno": level_of(level), "levelname": level})

    assert ColorFormatter("%(message)s").format(record) == (f"\x1b[{code}mx\x1b[0m" if code else "x")
    assert TaskFormatter("%(message)s", use_color=False).format(record) == "x"


def test_a_terminal_has_colours_unless_somebody_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())

    assert log().supports_color()
    assert not log().supports_color(logfile="log")
    assert not log().supports_color(False)
    assert not log(worker_log_color=False).supports_color()
    assert log().colored().red("x") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not log().supports_color()
    assert log(worker_log_color=True).supports_color()


def test_there_are_no_colours_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert not log(worker_log_color=True).supports_color()
    assert log().colored().red("a", 1) == "a1"


def test_a_colour_that_is_none_is_refused() -> None:
    with pytest.raises(AttributeError, match="got 'mauve'"):
        log().colored().mauve("x")


# files


def write_line(handler: logging.Handler, text: str) -> None:
    handler.emit(logging.makeLogRecord({"msg": text}))


def test_a_rotated_file_is_made_anew(tmp_path: Path) -> None:
    handler = LogFile(str(tmp_path / "log"))
    write_line(handler, "before")

    (tmp_path / "log").rename(tmp_path / "log.1")
    write_line(handler, "after")
    handler.close()

    assert (tmp_path / "log.1").read_text() == "before\n"
    assert (tmp_path / "log").read_text() == "after\n"


def test_a_file_whose_folder_has_gone_is_written_on(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    handler = LogFile(str(folder / "log"))

    folder.rename(tmp_path / "moved")
    write_line(handler, "after")
    handler.close()

    assert (tmp_path / "moved" / "log").read_text() == "after\n"


@pytest.mark.parametrize(("permissions", "umask", "mode"), [(0o600, 0o002, 0o600), (0o666, 0o027, 0o640)])
def test_only_its_owner_reads_a_log_unless_a_umask_says_more(
    tmp_path: Path, permissions: int, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        LogFile(str(tmp_path / "log"), permissions=permissions).close()
    finally:
        os.umask(before)

    assert (tmp_path / "log").stat().st_mode & 0o777 == mode


# what is printed


def heard_by(logger: logging.Logger) -> io.StringIO:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    return heard


def redirected(level: str | None = None) -> io.StringIO:
    """What is logged of what is printed from now on. (Not a fixture: pytest changes the streams before each test.)"""
    heard = heard_by(logging.getLogger("celery.redirected"))
    log().redirect_stdouts(level)
    return heard


def test_what_is_printed_is_logged_line_by_line() -> None:
    printed = redirected()
    print("a", 1, "b")
    print("two\nlines", file=sys.stderr)
    print()

    assert printed.getvalue() == "WARNING a 1 b\nWARNING two\nWARNING lines\n"


def test_the_level_of_what_is_printed_is_a_choice() -> None:
    heard = redirected("INFO")

    print("100%")

    assert heard.getvalue() == "INFO 100%\n"


def test_half_a_line_waits_for_its_end_or_for_flush() -> None:
    printed = redirected()
    print("half", end="")
    before = printed.getvalue()
    print(" and half")
    print("rest", end="", flush=True)

    assert before == ""
    assert printed.getvalue() == "WARNING half and half\nWARNING rest\n"


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    printed = redirected()
    sys.stdout.write("x" * 10_000)

    assert printed.getvalue() == f"WARNING {'x' * 10_000}\n"


def test_a_handler_that_prints_does_not_recurse(monkeypatch: pytest.MonkeyPatch) -> None:
    beneath = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", beneath)

    class Prints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sys.stderr.write(f"seen: {record.getMessage()}\n")

    logger = logging.getLogger("celery.redirected")
    logger.handlers[:], logger.propagate = [Prints()], False
    log().redirect_stdouts()

    print("once", file=sys.stderr)

    assert beneath.getvalue() == "seen: once\n"


def test_a_handler_that_fails_does_not_recurse(monkeypatch: pytest.MonkeyPatch) -> None:
    beneath = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", beneath)

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise ValueError("I/O operation on closed file")

    logger = logging.getLogger("celery.redirected")
    logger.handlers[:], logger.propagate = [logging.StreamHandler(Closed())], False
    log().redirect_stdouts()

    print("once")

    assert "I/O operation on closed file" in beneath.getvalue()


def test_warnings_and_tracebacks_can_be_printed() -> None:
    printed = redirected()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        sys.stderr.write(warnings.formatwarning("beware", UserWarning, "file.py", 1, "code"))
    try:
        raise ValueError("no")
    except ValueError:
        sys.excepthook(*sys.exc_info())

    assert "WARNING file.py:1: UserWarning: beware\n" in printed.getvalue()
    assert printed.getvalue().endswith("WARNING ValueError: no\n")


def test_what_needs_a_file_gets_the_stream_beneath() -> None:
    code = (
        "import faulthandler, subprocess, sys\n"
        "from types import SimpleNamespace\n"
        "from celery_rs.app import Logging\n"
        "from celery_rs.config import Settings\n"
        "Logging(SimpleNamespace(conf=Settings())).redirect_stdouts()\n"
        "faulthandler.enable()\n"
        "subprocess.run([sys.executable, '-c', 'print(1)'], stdout=sys.stdout, check=True)\n"
        "sys.stdout.buffer.write(b'two')\n"
        "assert not sys.stdout.isatty()\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\ntwo", "")


def test_a_proxy_takes_text_only() -> None:
    printed = redirected()
    with pytest.raises(TypeError, match="expects a string, got bytes"):
        sys.stdout.write(b"x")  # type: ignore[arg-type]  # that is the mistake
    with sys.stdout as stream:
        stream.writelines(["a\n", "b"])

    assert printed.getvalue() == "WARNING a\nWARNING b\n"
