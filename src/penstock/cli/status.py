"""``penstock status``: lag, rates and what is waiting."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from penstock.cli.options import DataOption, JsonOption
from penstock.cli.warehouse import run_query
from penstock.engine import is_running
from penstock.errors import PenstockError
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED, Journal
from penstock.journal.salvage import damage_reports
from penstock.journal.sqlite import SqliteJournal
from penstock.settings import load_settings

__all__ = ["Status", "read_status", "status"]

_RATE_WINDOW_S = 1.0


@dataclass(frozen=True)
class Status:
    """Where events are on their way, in events since the beginning."""

    running: bool
    received: int
    rejected: int
    processed: int
    events: int
    duplicates: int
    loaded: int
    filtered: int
    process_lag: int
    """Events received and not yet processed."""
    warehouse_lag: int
    """Clean events not yet in the warehouse."""
    received_per_s: float
    loaded_per_s: float
    journal_bytes: int
    damage: list[dict[str, object]]


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show what was received, rejected, dropped as duplicate, and loaded, and what waits.

    Example: penstock status --json
    """
    settings = load_settings({"data": data})
    if not settings.journal_folder.exists():
        raise PenstockError(f"no journal in {settings.data}: start `penstock up` first")
    found = read_status(settings)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    table = Table(show_header=False, show_edge=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    rows: list[tuple[str, str]] = [
        ("engine", "running" if found.running else "stopped"),
        ("received", f"{found.received:,}"),
        ("  of which duplicate", f"{found.duplicates:,}"),
        ("  waiting to be processed", f"{found.process_lag:,}"),
        ("rejected", f"{found.rejected:,}"),
        ("loaded into the warehouse", f"{found.loaded:,}"),
        ("  kept out by integrations.Warehouses", f"{found.filtered:,}"),
        ("  waiting to be loaded", f"{found.warehouse_lag:,}"),
        ("received per second", f"{found.received_per_s:,.0f}"),
        ("loaded per second", f"{found.loaded_per_s:,.0f}"),
        ("journal on disk", f"{found.journal_bytes / 1e6:,.1f} MB"),
    ]
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    for report in found.damage:
        console.print(f"damage: {report['file']}: {report['what']}", markup=False)


def read_status(settings: Any) -> Status:
    """Read the status twice, a second apart, for the rates."""
    journal = SqliteJournal(settings.journal_folder)
    running = is_running(settings)
    try:
        before = _counts(journal, settings)
        if running:
            time.sleep(_RATE_WINDOW_S)
        after = _counts(journal, settings) if running else before
        sizes = sum(journal.size(topic) for topic in (RECEIVED, EVENTS, REJECTED))
    finally:
        journal.close()
    received, rejected, processed, events, loaded, filtered = after
    return Status(
        running=running,
        received=received,
        rejected=rejected,
        processed=processed,
        events=events,
        duplicates=processed - events,
        loaded=loaded,
        filtered=filtered,
        process_lag=received - processed,
        warehouse_lag=events - loaded - filtered,
        received_per_s=(received - before[0]) / _RATE_WINDOW_S,
        loaded_per_s=(loaded - before[4]) / _RATE_WINDOW_S,
        journal_bytes=sizes,
        damage=damage_reports(Path(settings.journal_folder)),
    )


def _counts(journal: Journal, settings: Any) -> tuple[int, ...]:
    loaded = filtered = 0
    try:
        rows = run_query(
            settings, "select sum(loaded)::bigint, sum(filtered)::bigint from penstock.progress"
        )
        loaded, filtered = (rows.column(0)[0].as_py() or 0, rows.column(1)[0].as_py() or 0)
    except PenstockError:
        pass  # no warehouse yet
    events = _end(journal, EVENTS)
    processed = sum(
        journal.position("process", RECEIVED, part) for part in journal.partitions(RECEIVED)
    )
    received = _end(journal, RECEIVED)
    return received, _end(journal, REJECTED), min(processed, received), events, loaded, filtered


def _end(journal: Journal, topic: str) -> int:
    return sum(journal.end(topic, part) for part in journal.partitions(topic))
