"""Every command, and how errors reach the person at the terminal."""

from __future__ import annotations

import io
import logging
import sys
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

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
    help="""Collect events from any Segment SDK, keep them durably, query them with SQL.

    Example: penstock up
    """,
)
for command, summary in (
    (up, "Collect events and load them, until Ctrl-C."),
    (demo, "Play the toast shop of the guides and print its figures."),
    (apply, "Make the workspace what a file says."),
    (export, "Print the workspace as a file that `apply` reads."),
    (sql, "Query the warehouse with SQL, read-only."),
    (status, "Show what came in, what was refused and what waits."),
    (bench, "Measure how fast this machine collects and loads."),
):
    app.command(short_help=summary)(command)


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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="penstock")
    except PenstockError as error:
        _fail(str(error))
    except DBAPIError as error:
        _fail(f"the state store (state.sqlite in the data folder): {error.orig}")
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _fail(message: str) -> None:
    typer.echo(f"penstock: {message}", err=True)
    sys.exit(1)
