"""Options that several commands share, and what the help and messages of all have in common."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from penstock.settings import Settings, load_settings

__all__ = ["DataOption", "JsonOption", "UsageError", "command_line", "printable"]

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        file_okay=False,
        metavar="<folder>",
        help="Data folder. Default: PENSTOCK_DATA or ./penstock-data.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UsageError = typer.BadParameter
"""The command was called wrongly; exit code 2."""


def command_line(command: str, settings: Settings) -> str:
    """How to call a command on the data folder of ``settings``, ready to paste."""
    program = "penstock" if shutil.which("penstock") else shlex.quote(sys.argv[0])
    known = load_settings().data
    data = "" if known == settings.data else f" --data {shlex.quote(str(settings.data))}"
    return f"{program} {command}{data}"


def printable(text: str) -> str:
    """One line of text; what would move the cursor or change its colour is shown as code."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
