"""``penstock apply`` and ``penstock export``: the workspace as code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.options import DataOption, JsonOption
from penstock.settings import load_settings
from penstock.workspace import Workspace, dump, load, plan

__all__ = ["apply", "export"]


def apply(
    file: Annotated[Path, typer.Argument(help="Workspace file (YAML).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the workspace what a file says; prints the plan first.

    A running engine follows within two seconds. Sources that the file does not name stay.

    Example: penstock apply penstock.yaml --dry-run
    """
    wanted = load(file)
    settings = load_settings({"data": data})
    workspace = Workspace(settings.data / "state.sqlite")
    changes, sources = plan(workspace.sources(), wanted)
    if as_json:
        lines = [{"action": c.action, "kind": c.kind, "slug": c.slug, "detail": c.detail}
                 for c in changes]  # fmt: skip
        typer.echo(json.dumps(lines))
    else:
        for change in changes:
            typer.echo(str(change))
    if not dry_run and sources:
        workspace.put_sources(sources)
    workspace.close()
    if not as_json:
        typer.echo("nothing applied (--dry-run)" if dry_run else f"{len(sources)} applied")


def export(data: DataOption = None) -> None:
    """Print the workspace as a file that `apply` reads.

    Example: penstock export > penstock.yaml
    """
    settings = load_settings({"data": data})
    workspace = Workspace(settings.data / "state.sqlite")
    typer.echo(dump(workspace.sources()), nl=False)
    workspace.close()
