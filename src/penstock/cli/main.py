"""Every command, and how errors reach the person at the terminal."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from penstock import __version__, logs
from penstock.errors import PenstockError

__all__ = ["app", "main"]

_COMMANDS = {
    "up": ("up:up", "Collect events and load them, until Ctrl-C."),
    "demo": ("demo:demo", "Play the toast shop of the guides and print its figures."),
    "apply": ("workspace:apply", "Make the workspace what a file says."),
    "export": ("workspace:export", "Print the workspace as a file that `apply` reads."),
    "destinations": (
        "destinations:destinations",
        "What is sent where, how that goes, and what was refused.",
    ),
    "functions": ("functions:functions", "User code that events pass: list it, and try it."),
    "profiles": ("profiles:profiles", "Show a person: ids, traits, audiences, and why."),
    "audiences": ("profiles:audiences", "Who is in which audience, and who would be."),
    "sql": ("sql:sql", "Query the warehouse with SQL, read-only."),
    "report": ("report:report", "Figures of campaigns, channels and funnels."),
    "status": ("status:status", "Show what came in, what was refused and what waits."),
    "tail": ("tail:tail", "Show events as they arrive, and what becomes of each."),
    "rejected": ("rejected:rejected", "List what was refused, with the reasons and the originals."),
    "schema": ("schema:schema", "Show the events of each source and their properties."),
    "doctor": ("doctor:doctor", "Find what is wrong, and say how to mend it."),
    "backfill": ("backfill:backfill", "Fill a table of the warehouse from the journal."),
    "snapshot": ("snapshot:snapshot", "Publish a copy of the warehouse for other tools."),
    "backup": ("backup:backup", "Copy everything Penstock keeps, while it runs."),
    "restore": ("backup:restore", "Make a data folder from a backup."),
    "tokens": ("tokens:tokens", "Keys for programs that use the management API."),
    "users": ("users:users", "People who log in."),
    "bench": ("bench:bench", "Measure how fast this machine collects and loads."),
}
"""Where each command is, below ``penstock.cli``, and what it does in a line."""


class _Commands(TyperGroup):
    """Imports a command when it is called: ``penstock up`` stays in memory, so it stays small."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All of them, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        place, summary = _COMMANDS[cmd_name]
        module, _, name = place.partition(":")
        found = getattr(import_module(f"penstock.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            command = typer.main.get_command(found)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(cmd_name)(found)
            command = typer.main.get_command(alone)
        command.name = cmd_name
        command.short_help = summary
        return command


app = typer.Typer(
    cls=_Commands,
    name="penstock",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Collect events from any Segment SDK, keep them durably, query them with SQL.

    Example: penstock up
    """,
)


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
    logs.set_up("penstock", form="text", level="warning")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="penstock")
    except PenstockError as error:
        _fail(str(error))
    except _of_state_store() as error:
        reason = getattr(error, "orig", error)
        _fail(f"the state store (state.sqlite in the data folder): {reason}")
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _of_state_store() -> tuple[type[Exception], ...]:
    """Errors of SQLAlchemy, which commands that do without it are spared."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return () if loaded is None else (loaded.DBAPIError,)


def _fail(message: str) -> None:
    typer.echo(f"penstock: {message}", err=True)
    sys.exit(1)
