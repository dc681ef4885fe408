"""What workers answered, for people and for programs.

`worker@host: OK`, then the message indented by four spaces; text is printed as it is, data as JSON.
"""

import json
from collections.abc import Mapping
from textwrap import indent
from typing import Any

import click

from celery_rs.cli.output import print_json
from celery_rs.wire import is_error


def print_reply(node: str, reply: Any) -> None:
    """One worker's reply: its name and OK or ERROR, then the message indented by four spaces."""
    failed = is_error(reply)
    verdict = click.style("ERROR", fg="red") if failed else click.style("OK", fg="green")
    click.echo(f"{click.style(node, bold=True)}: {verdict}")
    click.echo(indent(_body(reply), "    "))


def print_replies(replies: Mapping[str, Any], *, as_json: bool) -> None:
    """The replies of all workers, by name."""
    if as_json:
        print_json(dict(sorted(replies.items())))
        return
    for node, reply in sorted(replies.items()):
        print_reply(node, reply)


def _body(reply: Any) -> str:
    match reply:
        case {"ok": message} | {"error": message}:
            return _text(message)
        case list():
            return "\n".join(f"* {_text(item)}" for item in reply) or "- empty -"
        case dict():
            return json.dumps(reply, indent=4, sort_keys=True, default=repr, ensure_ascii=False)
    return _text(reply)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr, ensure_ascii=False)
