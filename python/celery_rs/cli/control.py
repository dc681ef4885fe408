"""`celery-rs control`: change running workers. What there is comes from the table of remote commands."""

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.options import asking_options
from celery_rs.cli.remote import ask_workers, list_of, list_option, suggest_words


@click.command(cls=AppCommand, epilog=list_of("control"))
@asking_options
@list_option("control")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARGUMENTS]...", shell_complete=suggest_words)
@click.pass_context
def control(
    ctx: click.Context, words: tuple[str, ...], timeout: float, destination: tuple[str, ...], as_json: bool
) -> None:
    """Change running workers."""
    ask_workers(ctx, "control", words, timeout=timeout, destination=destination, as_json=as_json)
