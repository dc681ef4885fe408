"""Our loggers in a project whose LOGGING leaves out `disable_existing_loggers`: it silences what it does not name.

A worker that is silent says of nothing what is wrong.
"""

import logging

_OURS = ("celery", "celery_rs")


def wake_loggers() -> None:
    """Let them speak again; their levels and handlers are the project's affair."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] in _OURS and isinstance(logger, logging.Logger):
            logger.disabled = False
