"""``penstock apply`` and ``penstock export``: the workspace as a file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.engine_api import EngineApi, UrlOption, local_api, remote_api
from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace import Change, Contents, Workspace, dump, load

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

    A running engine follows within two seconds. What the file does not name stays. A new source
    without write keys is given one, which is printed.

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
    _tell(wanted, sum(change.action != "keep" for change in changes), sources, dry_run)


def _apply_here(
    settings: Settings, wanted: Contents, dry_run: bool
) -> tuple[list[Change], list[Source]]:
    """Plan and, unless it is only that, store."""
    if not settings.state_file.exists():
        checked = _planned_anew(settings, wanted)  # what is refused leaves no folder behind
        if dry_run:
            return checked
    workspace = Workspace.of(settings)
    try:
        return workspace.apply(wanted, dry_run=dry_run)
    finally:
        workspace.close()


def _planned_anew(settings: Settings, wanted: Contents) -> tuple[list[Change], list[Source]]:
    """What applying to an empty workspace would do."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "state.sqlite", tools=settings.destinations_folder)
        try:
            return workspace.apply(wanted, dry_run=True)
        finally:
            workspace.close()


def _apply_by_api(
    api: EngineApi, wanted: Contents, dry_run: bool
) -> tuple[list[Change], list[Source]]:
    """The same, done by the engine."""
    body = {**msgspec.structs.asdict(wanted), "dry_run": dry_run}
    answer = api.call("POST", "/workspace/apply", body)
    changes = [Change(**change) for change in answer["changes"]]
    return changes, msgspec.convert(answer["sources"], list[Source])


def _tell(wanted: Contents, changed: int, stored: list[Source], dry_run: bool) -> None:
    if dry_run:
        typer.echo("nothing applied (--dry-run)")
        return
    typer.echo(f"{changed} applied" if changed else "nothing to change")
    given = {source.slug for source in wanted.sources if source.write_keys}
    for source in stored:
        if source.slug not in given:
            typer.echo(f"write key of {source.slug}: {', '.join(source.write_keys)}")


def export(url: UrlOption = None, data: DataOption = None) -> None:
    """Print the workspace as a file that `apply` reads; secrets of tools are not in it.

    Each stands as the name of an environment variable, and the names at the top of the file.

    Example: penstock export > penstock.yaml
    """
    settings = load_settings({"data": data})
    api = remote_api(url, data) or local_api(settings)
    if api is not None:
        answer = api.call("GET", "/workspace")
        typer.echo(dump(msgspec.convert(answer, Contents)), nl=False)
        return
    if not settings.state_file.exists():
        raise ConfigurationError(
            f"no workspace in {settings.data}: start `{command_line('up', settings)}` first, or "
            "name the folder with --data"
        )
    workspace = Workspace.of(settings)
    try:
        typer.echo(dump(workspace.contents()), nl=False)
    finally:
        workspace.close()
