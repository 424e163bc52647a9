"""``penstock snapshot``: a copy of the warehouse for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.options import DataOption, JsonOption
from penstock.settings import load_settings

__all__ = ["snapshot"]


def snapshot(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File to write. Default: snapshots/warehouse.duckdb in the data folder."
        ),
    ] = None,
    dbt: Annotated[
        Path | None,
        typer.Option("--dbt", help="Also write a dbt sources file (YAML) of what is in it."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a read-only copy of the warehouse, as of one commit, while Penstock runs.

    Metabase, dbt and notebooks open the copy; loading goes on. A copy of the same name is
    replaced at once. Setting snapshot_every makes one again and again.

    Example: penstock snapshot --dbt models/sources.yml
    """
    from penstock.backup.snapshot import publish

    settings = load_settings({"data": data})
    made = publish(settings, out or settings.snapshot_file)
    if dbt is not None:
        from penstock.backup.dbt import dbt_sources

        dbt.parent.mkdir(parents=True, exist_ok=True)
        dbt.write_text(dbt_sources(made.file), encoding="utf-8")
    if as_json:
        about = {"file": str(made.file), "bytes": made.bytes, "events": made.events}
        typer.echo(json.dumps(about | {"positions": made.positions}))
    else:
        typer.echo(f"{made.file}: {made.events:,} events, {made.bytes / 1e6:,.1f} MB")
