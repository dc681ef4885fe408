"""`celery-rs report`: what somebody must know to help, to be pasted into an issue."""

import click

from celery_rs.app import app_or_default, as_text, report_of
from celery_rs.cli.apps import named_app, names_an_app
from celery_rs.cli.options import json_option
from celery_rs.cli.output import print_json


@click.command()
@json_option
@click.pass_context
def report(ctx: click.Context, /, as_json: bool) -> None:
    """Show versions, broker, results and the settings that are set, without secrets."""
    found = report_of(named_app(ctx) if names_an_app(ctx) else app_or_default())
    if as_json:
        print_json(found._asdict())
    else:
        click.echo(as_text(found))
