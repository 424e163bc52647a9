"""``penstock status``: lag, rates, what is waiting, and why something is not there."""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import typer

from penstock.cli.engine_api import EngineApi, UrlOption, remote_api
from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.cli.status_text import roles_of, status_text
from penstock.cli.warehouse import run_query
from penstock.engine import is_running
from penstock.errors import PenstockError
from penstock.ingest.disk import room_on_disk
from penstock.journal.salvage import damage_reports
from penstock.journal.sqlite import SqliteJournal
from penstock.metrics import read_snapshots
from penstock.monitor.status import Status
from penstock.monitor.status import read_status as read
from penstock.monitor.store import MonitorStore, is_kept
from penstock.settings import Settings, load_settings
from penstock.workspace.store import Workspace

__all__ = ["read_status", "status"]

_PATIENCE = timedelta(seconds=10)


def status(url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show what was received, refused, dropped as duplicate and loaded, and what waits.

    Counts are events since the beginning; rates are measured over one second.

    Example: penstock status --json
    """
    remote = remote_api(url, data)
    if remote is not None:
        _show_remote(remote, as_json=as_json)
        return
    settings = load_settings({"data": data})
    if not settings.journal_folder.is_dir():
        start = command_line("up", settings)
        raise PenstockError(f"no journal in {settings.data}: start `{start}` first")
    found = read_status(settings)
    roles = roles_of(read_snapshots(settings.run_folder), _failures(settings), time.time())
    free = shutil.disk_usage(settings.data).free
    room = room_on_disk(settings, free)
    if as_json:
        told = [asdict(role) for role in roles]
        disk = {"free_bytes": free, "room": room}
        typer.echo(json.dumps({**asdict(found), "roles": told, "disk": disk}))
        return
    doctor = command_line("doctor", settings)
    typer.echo(status_text(found, roles, doctor=doctor, width=_width()), nl=False)
    if room != "enough":
        typer.echo(f"\ndisk: {free // 1_000_000:,} MB free, too little; `{doctor}` says what to do")


def _show_remote(api: EngineApi, *, as_json: bool) -> None:
    """What another machine's API tells: no processes, and no disk."""
    told = api.fetch("GET", "/status")
    if as_json:
        typer.echo(told)
        return
    found = msgspec.json.decode(told, type=Status)
    typer.echo(status_text(found, [], doctor="penstock doctor", width=_width()), nl=False)


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _failures(settings: Settings) -> dict[str, str]:
    """What ended roles that did not run well since."""
    return {
        file.stem: file.read_text(encoding="utf-8", errors="replace").strip()
        for file in settings.run_folder.glob("*.error")
    }


def read_status(settings: Settings) -> Status:
    """The status of a data folder."""
    hurried = replace(settings, sql_timeout=min(settings.sql_timeout, _PATIENCE))

    def ask(sql: str) -> pa.Table:
        return run_query(hurried, sql)

    with ExitStack() as opened:
        journal = SqliteJournal(settings.journal_folder)
        opened.callback(journal.close)
        workspace = Workspace.of(settings)
        opened.callback(workspace.close)
        store = None
        if is_kept(settings.monitor_file):
            store = MonitorStore(settings.monitor_file)
            opened.callback(store.close)
        return read(
            journal,
            ask if settings.warehouse_file.exists() else None,
            running=is_running(settings),
            damage=damage_reports(Path(settings.journal_folder)),
            sources=workspace.sources(),
            store=store,
        )
