"""`celery-rs inspect`: look at running workers. What there is comes from the table of remote commands."""

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.options import asking_options
from celery_rs.cli.remote import ask_workers, list_of, list_option, suggest_words


@click.command(cls=AppCommand, epilog=list_of("inspect"))
@asking_options
@list_option("inspect")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARGUMENTS]...", shell_complete=suggest_words)
@click.pass_context
def inspect(
    ctx: click.Context, words: tuple[str, ...], timeout: float, destination: tuple[str, ...], as_json: bool
) -> None:
    """Look at running workers."""
    ask_workers(ctx, "inspect", words, timeout=timeout, destination=destination, as_json=as_json)
