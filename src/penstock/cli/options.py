"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DataOption", "JsonOption"]

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder. Default: PENSTOCK_DATA, then ./penstock-data."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
