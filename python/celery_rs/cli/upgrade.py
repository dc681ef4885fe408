"""`celery-rs upgrade settings FILE`: names from before Celery 4, given their present ones."""

from pathlib import Path

import click

from celery_rs.cli.output import ExitCode, Failure, count_of
from celery_rs.cli.rename import in_lower_case, in_namespace, rename


@click.group()
def upgrade() -> None:
    """Bring a project's files up to date."""


@upgrade.command(epilog="Exit codes: 0 done, or nothing to do; 2 the file cannot be read or written.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--django", is_flag=True, help="Write names as Django projects have them: CELERY_TASK_SERIALIZER.")
@click.option("--compat", is_flag=True, help="The same: Celery's other name for it.")
@click.option("--no-backup", is_flag=True, help="Do not keep the original as FILE.orig.")
def settings(file: Path, django: bool, compat: bool, no_backup: bool) -> None:
    """Give the settings in the Python module FILE the names that they have since Celery 4."""
    try:
        # Line ends stay as they are.
        text = file.read_bytes().decode()
        found = rename(text, in_namespace if django or compat else in_lower_case)
    except (SyntaxError, ValueError) as error:
        raise Failure(f"expected a Python module in UTF-8, got {str(file)!r}: {error}", ExitCode.USAGE) from None
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE) from None
    for old, new in found.names:
        click.echo(f"{old} -> {new}")
    if not found.names:
        click.echo(f"Nothing to change in {file}.")
        return
    original = file.with_name(f"{file.name}.orig")
    try:
        if not no_backup:
            original.write_bytes(text.encode())
        file.write_bytes(found.text.encode())
    except OSError as error:
        raise Failure(f"{error.filename} cannot be written: {error.strerror}", ExitCode.USAGE) from None
    kept = "" if no_backup else f"; the original is {original}"
    click.echo(f"{count_of(len(found.names), 'name')} changed in {file}{kept}.")
