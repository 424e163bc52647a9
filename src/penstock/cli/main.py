"""Every command, and how errors reach the person at the terminal."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from penstock import __version__
from penstock.cli.bench import bench
from penstock.cli.demo import demo
from penstock.cli.sql import sql
from penstock.cli.status import status
from penstock.cli.up import up
from penstock.cli.workspace import apply, export
from penstock.errors import PenstockError

__all__ = ["app", "main"]

app = typer.Typer(
    name="penstock",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Collect events from any Segment SDK, keep them durably, query them in a warehouse.",
)
for command in (up, demo, apply, export, sql, status, bench):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; exit code 1 for an error, 2 for wrong use."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        app()
    except PenstockError as error:
        typer.echo(f"penstock: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
