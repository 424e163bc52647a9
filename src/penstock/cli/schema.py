"""``penstock schema``: the events of each source and their properties, as they were sent."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.engine_api import UrlOption, remote_api, with_query
from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.cli.tables import as_table
from penstock.errors import PenstockError
from penstock.monitor.catalogue import EventShape, catalogue
from penstock.monitor.store import MonitorStore, is_kept
from penstock.settings import load_settings

__all__ = ["schema"]

_encode = msgspec.json.Encoder().encode


def schema(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    event: Annotated[
        str | None, typer.Argument(help="Only this event, with its properties.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which events each source sends, and which properties, types and values they have.

    Counts of events are exact. Counts of properties are of the events examined, which are all of
    them unless many arrive each second. Personal values are never kept: *** stands for them.

    Example: penstock schema web "Toast Buttered"
    """
    remote = remote_api(url, data)
    if remote is not None:
        listed = remote.call("GET", with_query("/schema", source=source, event=event))["items"]
        found = msgspec.convert(listed, list[EventShape])
    else:
        found = _in_folder(data, source, event)
    if as_json:
        typer.echo(_encode([{**asdict(one), "sampled": one.sampled} for one in found]))
    elif event is not None:
        for one in found:
            _echo_event(one)
    else:
        _echo_events(found)
    if not found:
        typer.echo("no such event was seen", err=True)


def _in_folder(data: Path | None, source: str | None, event: str | None) -> list[EventShape]:
    settings = load_settings({"data": data})
    if not is_kept(settings.monitor_file):
        start = command_line("up", settings)
        raise PenstockError(f"nothing was counted in {settings.data}: start `{start}` first")
    store = MonitorStore(settings.monitor_file)
    try:
        return catalogue(store, source, event)
    finally:
        store.close()


def _echo_events(found: list[EventShape]) -> None:
    rows = [
        (
            one.source or "(unknown)",
            one.event,
            f"{one.count:,}",
            f"{one.rejected:,}",
            str(sum(shape.place != "context" for shape in one.properties)),
            one.first_seen.strftime("%Y-%m-%d %H:%M:%S"),
            one.last_seen.strftime("%Y-%m-%d %H:%M:%S"),
        )
        for one in found
    ]
    names = ("source", "event", "stored", "rejected", "properties", "first seen", "last seen")
    typer.echo(as_table(names, rows, right=(False, False, True, True, True)), nl=False)


def _echo_event(one: EventShape) -> None:
    examined = f"{one.examined:,} of them examined" if one.sampled else "all examined"
    typer.echo(f"{one.source}: {one.event}: {one.count:,} stored, {examined}")
    rows = [
        (
            shape.place,
            shape.path,
            f"{shape.count:,}",
            ", ".join(f"{name} {count:,}" for name, count in shape.types.items()),
            ", ".join(shape.examples),
        )
        for shape in one.properties
    ]
    names = ("in", "name", "values", "types", "examples")
    typer.echo(as_table(names, rows, right=(False, False, True)), nl=False)
    if one.unlisted:
        typer.echo(f"{one.unlisted:,} values of further names are not listed")
