"""Where an app is at home: the directory whose embedded database it uses when no broker is named."""

import os
import sys

DATABASE = "celery-rs.sqlite3"


def home_of_caller() -> str:
    """The directory of the module that makes an app; the working directory where there is no file (a REPL)."""
    frame = sys._getframe(1)
    ours = __name__.partition(".")[0] + "."
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(ours):
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()


def embedded_url(home: str) -> str:
    """The URL of the database in that directory."""
    path = os.path.join(home, DATABASE)
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")
