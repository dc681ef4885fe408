"""`python -m celery_rs` and the console script `celery-rs`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from celery_rs.cli import cli

if TYPE_CHECKING:
    from celery_rs.app import Celery


def main(arguments: Sequence[str] | None = None, app: "Celery | None" = None) -> None:
    """Run the command line and exit; `app` is the one of `Celery.start`, which stands for `-A`."""
    cli(arguments, prog_name="celery-rs", obj=app)


if __name__ == "__main__":
    main()
