"""What it means to run tasks as root, and to read pickle: said at every start, and refused together."""

import os

from celery_rs.app import Celery
from celery_rs.cli.output import ExitCode, Failure, print_note

_PICKLE = frozenset({"pickle", "application/x-python-serialize"})


def refuse_pickle_as_root(app: Celery) -> None:
    """Raises Failure unless C_FORCE_ROOT is set."""
    if _accepts_pickle(app) and _is_root() and not os.environ.get("C_FORCE_ROOT"):
        raise Failure(
            "accept_content has 'pickle' and this is root: whoever can write to the broker could take over this "
            "machine; run it as another user (--uid), or set C_FORCE_ROOT=1 if you must",
            ExitCode.FAILURE,
        )


def warn_of_risks(app: Celery) -> None:
    """Say what is dangerous about this worker."""
    if _accepts_pickle(app):
        print_note(
            "Warning: accept_content has 'pickle': whoever can write to the broker can run any code in this worker"
        )
    if _is_root():
        print_note("Warning: running as root (uid 0): so does every task; better run it as a user of its own (--uid)")


def _accepts_pickle(app: Celery) -> bool:
    return bool(_PICKLE & set(app.conf["accept_content"]))


def _is_root() -> bool:
    return os.geteuid() == 0
