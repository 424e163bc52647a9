"""``penstock backup`` and ``penstock restore``."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from penstock.cli.options import DataOption, JsonOption, UsageError, command_line
from penstock.cli.tables import as_table
from penstock.events.times import parse_instant
from penstock.settings import Settings, load_settings

if TYPE_CHECKING:
    from penstock.backup.manifest import Manifest
    from penstock.backup.restore import Restored

__all__ = ["backup", "restore"]


def backup(
    target: Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix.")],
    listing: Annotated[
        bool, typer.Option("--list", help="List the backups there, and make none.")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(min=1, metavar="<count>", help="Afterwards remove all but the newest ones."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy everything Penstock keeps, while it runs, to a folder or S3-compatible storage.

    What the target has already is not copied again. For S3 set AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION and, unless it is Amazon's, AWS_ENDPOINT_URL.

    Example: penstock backup /mnt/backups/penstock --keep 14
    """
    from penstock.backup.save import save
    from penstock.backup.target import keep_newest, manifests, open_target

    if listing:
        found = manifests(open_target(target))
        _print_list(found, as_json)
        return
    settings = load_settings({"data": data})
    saved = save(settings, target, now=lambda: datetime.now(UTC), say=_say)
    removed, _ = keep_newest(open_target(target), keep) if keep else ([], 0)
    if as_json:
        about = {"copied_files": saved.copied_files, "copied_bytes": saved.copied_bytes}
        typer.echo(json.dumps(_about(saved.manifest) | about | {"removed": removed}))
        return
    typer.echo(
        f"backup {saved.manifest.id}: {saved.manifest.events:,} events loaded, "
        f"{len(saved.manifest.files)} files of {saved.manifest.bytes / 1e6:,.1f} MB, of which "
        f"{saved.copied_files} of {saved.copied_bytes / 1e6:,.1f} MB were new"
    )
    for name in removed:
        typer.echo(f"removed {name}")
    if settings.secret_key_file.exists():
        typer.echo(f"not in it: {settings.secret_key_file}, the key of secrets; keep a copy of it")


def restore(
    source: Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix.")],
    until: Annotated[
        str | None,
        typer.Option(
            metavar="<time>",
            help="Only what was received up to then, such as 2026-05-01T12:00:00Z.",
        ),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new data folder from the newest backup, or as of a time.

    Checks every file before it puts any in place. Events that the warehouse of the backup lacks
    are loaded by `penstock up` from the journal in it.

    Example: penstock restore /mnt/backups/penstock --data ./penstock-data
    """
    from penstock.backup.restore import restore as restore_from

    settings = load_settings({"data": data})
    moment = None if until is None else parse_instant(until)
    if until is not None and moment is None:
        raise UsageError("--until: a time such as 2026-05-01T12:00:00Z")
    done = restore_from(source, settings.data, until=moment, say=_say)
    if as_json:
        typer.echo(json.dumps(_restored(done)))
        return
    base = done.plan.warehouse
    typer.echo(
        f"restored into {settings.data}: "
        + (f"warehouse of {base.began:%Y-%m-%d %H:%M:%S} UTC" if base else "no warehouse yet")
        + f"; {done.waiting:,} clean and {done.unprocessed:,} received events wait to be loaded\n"
        f"next: {command_line('up', settings)}"
    )
    if _lacks_key(settings):
        typer.echo(
            f"before that, put the key of its secrets back as {settings.secret_key_file}; without "
            "it deliveries wait until the secrets are set again"
        )


def _lacks_key(settings: Settings) -> bool:
    """Whether there are secrets, and no key to read them with."""
    if settings.secret_key_file.exists():
        return False
    with closing(
        sqlite3.connect(f"file:{quote(str(settings.state_file))}?mode=ro", uri=True)
    ) as db:
        try:
            rows = db.execute(
                "SELECT secrets FROM destinations UNION SELECT secrets FROM functions"
            )
            return any(json.loads(secrets) for (secrets,) in rows)
        except sqlite3.Error:  # of a format that had none, or no state store at all
            return False


def _restored(done: Restored) -> dict[str, object]:
    return {
        "warehouse": done.plan.warehouse.id if done.plan.warehouse else None,
        "journal": done.plan.newest.id,
        "waiting": done.waiting,
        "unprocessed": done.unprocessed,
    }


def _print_list(found: list[Manifest], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_about(each) for each in found]))
        return
    rows = [
        (each.id, f"{each.began:%Y-%m-%d %H:%M:%S}", f"{each.events:,}", len(each.files),
         f"{each.bytes / 1e6:,.1f}", each.penstock)
        for each in found
    ]  # fmt: skip
    head = ["backup", "began (UTC)", "events", "files", "MB", "Penstock"]
    typer.echo(as_table(head, rows, right=[False, False, True, True, True, False]), nl=False)


def _about(manifest: Manifest) -> dict[str, object]:
    return {
        "id": manifest.id,
        "began": manifest.began.isoformat(),
        "ended": manifest.ended.isoformat(),
        "events": manifest.events,
        "files": len(manifest.files),
        "bytes": manifest.bytes,
        "penstock": manifest.penstock,
    }


def _say(line: str) -> None:
    """What is being done, while somebody watches."""
    if sys.stderr.isatty():
        typer.echo(line, err=True)
