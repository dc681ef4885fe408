"""`celery-rs list`: what the app has configured."""

import click

from celery_rs.cli.app_command import AppCommand
from celery_rs.cli.apps import any_app
from celery_rs.cli.commands import CommandGroup
from celery_rs.cli.options import json_option
from celery_rs.cli.output import print_json, print_table

_WIDTH = 28


@click.group("list", cls=CommandGroup)
def listing() -> None:
    """List what the app has configured."""


@listing.command(cls=AppCommand)
@json_option
@click.pass_context
def bindings(ctx: click.Context, as_json: bool) -> None:
    """Show each queue with the exchange and the routing key that lead to it."""
    rows = [
        (queue.name, queue.exchange.name or queue.name, queue.routing_key or queue.name)
        for queue in any_app(ctx).queues()
    ]
    if as_json:
        print_json([{"queue": queue, "exchange": exchange, "routing_key": key} for queue, exchange, key in rows])
    else:
        print_table(("Queue", "Exchange", "Routing Key"), sorted(rows), width=_WIDTH)
