"""`python -m celery_rs` and the console script `celery-rs`."""

from celery_rs.cli import cli


def main() -> None:
    """Run the command line and exit."""
    cli(prog_name="celery-rs")


if __name__ == "__main__":
    main()
