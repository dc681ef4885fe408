"""Completion in a shell: the script for it, and the modules that `-A` may mean.

What else is completed stands where it is defined; names of tasks come from `suggestions`.
"""

from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from celery_rs.cli.output import Failure

_PROGRAM = "celery-rs"
_VARIABLE = "_CELERY_RS_COMPLETE"


def suggest_modules(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Modules and packages of the working directory, and what is in the package that is being typed."""
    package, dot, last = incomplete.rpartition(".")
    folder = Path(ctx.params.get("workdir") or ".").joinpath(*package.split("."))
    found = {
        entry.stem
        for entry in (folder.iterdir() if folder.is_dir() else ())
        if entry.stem.isidentifier() and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    }
    return [CompletionItem(f"{package}{dot}{name}") for name in sorted(found - {"__init__"}) if name.startswith(last)]


@click.command(
    epilog="""\b
Put this line into ~/.bashrc, ~/.zshrc, or ~/.config/fish/completions/celery-rs.fish:
  eval "$(celery-rs completion bash)"
  eval "$(celery-rs completion zsh)"
  celery-rs completion fish | source"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands.

    It completes commands, options, modules after -A, remote commands, and the names of the tasks of an app that can be
    imported.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"click has no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, _PROGRAM, _VARIABLE).source())
