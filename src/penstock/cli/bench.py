"""``penstock bench``: speed, as ratios to limits measured in the same run."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from penstock.cli.options import JsonOption, UsageError

__all__ = ["bench"]


def bench(
    what: Annotated[
        str, typer.Argument(help="Only figures whose name contains this text, such as deliver.")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Length of each measurement.")] = 5.0,
    sustain: Annotated[
        float, typer.Option(help="Length of the end-to-end run; 300 for five minutes.")
    ] = 30.0,
    keys: Annotated[
        int, typer.Option(help="Keys in the dedupe index before it is measured.")
    ] = 5_000_000,
    gigabytes: Annotated[
        float, typer.Option(help="Size of the warehouse of which a snapshot is made.")
    ] = 1.0,
    people: Annotated[
        int, typer.Option(help="Profiles there are when profiles are measured.")
    ] = 1_000_000,
    only: Annotated[str, typer.Option(help="The same as the argument.")] = "",
    folder: Annotated[
        Path | None, typer.Option(help="Where to write; default: a temporary folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every step of an event's way on this machine.

    Example: penstock bench --sustain 300 --keys 50000000 --gigabytes 5
    """
    from penstock.bench.suite import Suite

    only = what or only
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="penstock-bench-") as name:
        suite = Suite(
            Path(name),
            seconds=seconds,
            sustain=sustain,
            keys=keys,
            gigabytes=gigabytes,
            people=people,
            only=only,
            say=progress.print,
        )
        if not any(only in name for name in suite.names()):
            raise UsageError(f"no figure has {only!r} in its name; there are:\n"
                             + "\n".join(suite.names()))  # fmt: skip
        figures = suite.run()
    facts = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
    }
    if as_json:
        typer.echo(json.dumps({"machine": facts, "figures": [asdict(f) for f in figures]}))
        return
    table = Table(title=f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}")
    for column in ("measured", "value", "unit", "target", "ratio", "to"):
        table.add_column(column, justify="right" if column in ("value", "ratio") else "left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        digits = 2 if figure.value < 100 else 0
        table.add_row(
            figure.name, f"{figure.value:,.{digits}f}", figure.unit, figure.target, ratio,
            " ".join(filter(None, (figure.limit, figure.note))),
        )  # fmt: skip
    Console().print(table)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
