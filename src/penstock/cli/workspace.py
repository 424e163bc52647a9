"""``penstock apply`` and ``penstock export``: the workspace as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace import Workspace, dump, load, plan

__all__ = ["apply", "export"]


def apply(
    file: Annotated[
        Path, typer.Argument(metavar="<file>", help="Workspace file (YAML); - is the input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the workspace what a file says; prints the plan first.

    A running engine follows within two seconds. Sources that the file does not name stay. A new
    source without write keys is given one, which is printed.

    Example: penstock apply penstock.yaml --dry-run
    """
    wanted = load(Path("/dev/stdin") if str(file) == "-" else file)
    settings = load_settings({"data": data})
    current = _sources(settings)
    changes, sources = plan(current, wanted)
    _check_keys(str(file), current, sources)
    if as_json:
        lines = [{"action": c.action, "kind": c.kind, "slug": c.slug, "detail": c.detail}
                 for c in changes]  # fmt: skip
        typer.echo(json.dumps(lines))
    else:
        for change in changes:
            typer.echo(str(change))
    if not dry_run and sources:
        workspace = Workspace(settings.state_file)
        workspace.put_sources(sources)
        workspace.close()
    if not as_json:
        _tell(wanted, sources, dry_run)


def _tell(wanted: list[Source], stored: list[Source], dry_run: bool) -> None:
    if dry_run:
        typer.echo("nothing applied (--dry-run)")
        return
    typer.echo(f"{len(stored)} applied" if stored else "nothing to change")
    given = {source.slug for source in wanted if source.write_keys}
    for source in stored:
        if source.slug not in given:
            typer.echo(f"write key of {source.slug}: {', '.join(source.write_keys)}")


def _check_keys(file: str, current: list[Source], planned: list[Source]) -> None:
    """A key that two sources would share is told before anything is printed or stored."""
    owner: dict[str, str] = {}
    after = {source.slug: source for source in (*current, *planned)}
    for source in after.values():
        for key in dict.fromkeys(source.write_keys):
            if key in owner:
                raise ConfigurationError(
                    f"{file}: sources.{source.slug}: write key {key!r} belongs to "
                    f"{owner[key]} already; give each source its own"
                )
            owner[key] = source.slug


def _sources(settings: Settings) -> list[Source]:
    """The sources as they are; looking does not create a workspace."""
    file = settings.state_file
    if not file.exists():
        return []
    workspace = Workspace(file)
    try:
        return workspace.sources()
    finally:
        workspace.close()


def export(data: DataOption = None) -> None:
    """Print the workspace as a file that `apply` reads.

    Example: penstock export > penstock.yaml
    """
    settings = load_settings({"data": data})
    if not (settings.state_file).exists():
        raise ConfigurationError(
            f"no workspace in {settings.data}: start `{command_line('up', settings)}` first, or "
            "name the folder with --data"
        )
    typer.echo(dump(_sources(settings)), nl=False)
