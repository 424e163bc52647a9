"""``penstock apply`` and ``penstock export``: the workspace as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.engine_api import EngineApi, UrlOption, local_api, remote_api
from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace import Change, Workspace, dump, load, plan
from penstock.workspace.rules import check_keys

__all__ = ["apply", "export"]


def apply(
    file: Annotated[
        Path, typer.Argument(metavar="<file>", help="Workspace file (YAML); - is the input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    url: UrlOption = None,
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
    api = remote_api(url, data) or local_api(settings)
    try:
        changes, sources = (
            _apply_by_api(api, wanted, dry_run)
            if api is not None
            else _apply_here(settings, wanted, dry_run)
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    if as_json:
        lines = [{"action": c.action, "kind": c.kind, "slug": c.slug, "detail": c.detail}
                 for c in changes]  # fmt: skip
        typer.echo(json.dumps(lines))
        return
    for change in changes:
        typer.echo(str(change))
    _tell(wanted, sources, dry_run)


def _apply_here(
    settings: Settings, wanted: list[Source], dry_run: bool
) -> tuple[list[Change], list[Source]]:
    """Plan and, unless it is only that, store."""
    current = _sources(settings)
    changes, sources = plan(current, wanted)
    check_keys(current, sources)
    if not dry_run and sources:
        workspace = Workspace(settings.state_file)
        workspace.put_sources(sources)
        workspace.close()
    return changes, sources


def _apply_by_api(
    api: EngineApi, wanted: list[Source], dry_run: bool
) -> tuple[list[Change], list[Source]]:
    """The same, done by the engine."""
    answer = api.call("POST", "/workspace/apply", {"sources": wanted, "dry_run": dry_run})
    changes = [Change(**change) for change in answer["changes"]]
    return changes, msgspec.convert(answer["sources"], list[Source])


def _tell(wanted: list[Source], stored: list[Source], dry_run: bool) -> None:
    if dry_run:
        typer.echo("nothing applied (--dry-run)")
        return
    typer.echo(f"{len(stored)} applied" if stored else "nothing to change")
    given = {source.slug for source in wanted if source.write_keys}
    for source in stored:
        if source.slug not in given:
            typer.echo(f"write key of {source.slug}: {', '.join(source.write_keys)}")


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


def export(url: UrlOption = None, data: DataOption = None) -> None:
    """Print the workspace as a file that `apply` reads.

    Example: penstock export > penstock.yaml
    """
    settings = load_settings({"data": data})
    api = remote_api(url, data) or local_api(settings)
    if api is not None:
        answer = api.call("GET", "/workspace")
        typer.echo(dump(msgspec.convert(answer["sources"], list[Source])), nl=False)
        return
    if not (settings.state_file).exists():
        raise ConfigurationError(
            f"no workspace in {settings.data}: start `{command_line('up', settings)}` first, or "
            "name the folder with --data"
        )
    typer.echo(dump(_sources(settings)), nl=False)
