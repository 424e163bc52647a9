"""``penstock status``: lag, rates and what is waiting."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer

from penstock.cli.options import DataOption, JsonOption, command_line
from penstock.cli.tables import as_table
from penstock.cli.warehouse import run_query
from penstock.engine import is_running
from penstock.errors import PenstockError
from penstock.events.model import RejectedRecord
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED, Journal
from penstock.journal.salvage import damage_reports
from penstock.journal.sqlite import SqliteJournal
from penstock.settings import Settings, load_settings

__all__ = ["Refused", "Status", "read_status", "status"]

log = logging.getLogger("penstock.cli")
_RATE_WINDOW_S = 1.0
_PATIENCE = timedelta(seconds=10)
_TAIL = 20_000
_NEWEST_REJECTED = 1_000
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


@dataclass(frozen=True)
class Refused:
    """One reason for which events were refused lately."""

    code: str
    source: str
    """Slug, or empty when the write key was unknown."""
    count: int
    last_at: str
    """When the newest was received, ISO-8601 in UTC."""
    last_reason: str


@dataclass(frozen=True)
class Status:
    """Where events are on their way, in events since the beginning."""

    running: bool
    received: int
    rejected: int
    processed: int
    events: int
    duplicates: int
    loaded: int | None
    """None when the warehouse does not answer, as are the other figures that need it."""
    filtered: int | None
    process_lag: int
    """Events received and not yet processed."""
    warehouse_lag: int | None
    """Clean events not yet in the warehouse."""
    received_per_s: float
    loaded_per_s: float | None
    journal_bytes: int
    damage: list[dict[str, object]]
    rejected_lately: list[Refused]
    """The newest 1,000 of each partition, by code and source, most frequent first."""


@dataclass(frozen=True)
class _Loaded:
    loaded: int
    filtered: int


@dataclass(frozen=True)
class _Counts:
    received: int
    rejected: int
    processed: int
    events: int
    warehouse: _Loaded | None


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show what was received, refused, dropped as duplicate and loaded, and what waits.

    Counts are events since the beginning; rates are measured over one second.

    Example: penstock status --json
    """
    settings = load_settings({"data": data})
    if not settings.journal_folder.is_dir():
        start = command_line("up", settings)
        raise PenstockError(f"no journal in {settings.data}: start `{start}` first")
    found = read_status(settings)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    rows = [
        ("engine", "running" if found.running else "stopped"),
        ("received", f"{found.received:,}"),
        ("  of which duplicate", f"{found.duplicates:,}"),
        ("  waiting to be processed", f"{found.process_lag:,}"),
        ("loaded into the warehouse", _figure(found.loaded)),
        ("  waiting to be loaded", _figure(found.warehouse_lag)),
        ("  kept out by integrations.Warehouses", _figure(found.filtered)),
        ("rejected", f"{found.rejected:,}"),
        ("received per second", f"{found.received_per_s:,.0f}"),
        ("loaded per second", _figure(found.loaded_per_s)),
        ("journal on disk", f"{found.journal_bytes / 1e6:,.1f} MB"),
    ]
    typer.echo(as_table([], rows, right=[False, True]), nl=False)
    if found.rejected_lately:
        typer.echo("\nrejected lately, with the newest reason of each")
        for one in found.rejected_lately:
            place = one.source or "unknown source"
            typer.echo(f"  {one.count:,} x {one.code} ({place}): {one.last_reason}")
    for report in found.damage:
        typer.echo(f"damage: {report['file']}: {report['what']}")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def read_status(settings: Settings) -> Status:
    """Read the status twice, a second apart, for the rates."""
    journal = SqliteJournal(settings.journal_folder)
    running = is_running(settings)
    try:
        before = after = _counts(journal, _loaded(settings))
        began = time.monotonic()
        if running:
            time.sleep(_RATE_WINDOW_S)
            after = _counts(journal, before.warehouse and _loaded(settings))
        seconds = max(time.monotonic() - began, _RATE_WINDOW_S)
        sizes = sum(journal.size(topic) for topic in (RECEIVED, EVENTS, REJECTED))
        refused = _rejected_lately(journal)
    finally:
        journal.close()
    there = after.warehouse
    return Status(
        running=running,
        received=after.received,
        rejected=after.rejected,
        processed=after.processed,
        events=after.events,
        duplicates=max(after.processed - after.events, 0),
        loaded=there.loaded if there else None,
        filtered=there.filtered if there else None,
        process_lag=after.received - after.processed,
        warehouse_lag=max(after.events - there.loaded - there.filtered, 0) if there else None,
        received_per_s=(after.received - before.received) / seconds,
        loaded_per_s=_rate(before.warehouse, there, seconds),
        journal_bytes=sizes,
        damage=damage_reports(Path(settings.journal_folder)),
        rejected_lately=refused,
    )


def _rate(before: _Loaded | None, after: _Loaded | None, seconds: float) -> float | None:
    return (after.loaded - before.loaded) / seconds if before and after else None


def _loaded(settings: Settings) -> _Loaded | None:
    """What the warehouse holds; None when it does not tell, after waiting for it for a while."""
    if not settings.warehouse_file.exists():
        return _Loaded(0, 0)  # no warehouse yet
    hurried = replace(settings, sql_timeout=min(settings.sql_timeout, _PATIENCE))
    try:
        rows = run_query(
            hurried, "select sum(loaded)::bigint, sum(filtered)::bigint from penstock.progress"
        )
    except PenstockError as error:
        log.warning("the warehouse does not answer: %s", error)
        return None
    return _Loaded(rows.column(0)[0].as_py() or 0, rows.column(1)[0].as_py() or 0)


def _counts(journal: Journal, warehouse: _Loaded | None) -> _Counts:
    """What each part has done, read against the stream so that no part is ahead of another."""
    events = _end(journal, EVENTS)
    processed = _processed(journal)
    received = _end(journal, RECEIVED)
    rejected = _end(journal, REJECTED)
    return _Counts(received, rejected, min(processed, received), events, warehouse)


def _end(journal: Journal, topic: str) -> int:
    return sum(journal.end(topic, part) for part in journal.partitions(topic))


def _processed(journal: Journal) -> int:
    """How far `process` is: what it committed, or what the newest blocks of `events` say."""
    reached = {
        part: journal.position("process", RECEIVED, part) for part in journal.partitions(RECEIVED)
    }
    for part in journal.partitions(EVENTS):
        end = journal.end(EVENTS, part)
        for block in journal.read(EVENTS, part, max(end - _TAIL, 0), _TAIL).blocks:
            made_from = msgspec.json.decode(block.meta)
            origin = made_from["partition"]
            reached[origin] = max(reached.get(origin, 0), made_from["end"])
    return sum(reached.values())


def _rejected_lately(journal: Journal) -> list[Refused]:
    newest: dict[tuple[str, str], RejectedRecord] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for part in journal.partitions(REJECTED):
        first = max(journal.end(REJECTED, part) - _NEWEST_REJECTED, 0)
        for block in journal.read(REJECTED, part, first, _NEWEST_REJECTED).blocks:
            for record in _decode_rejected(block.body):
                key = (record.code, record.source)
                counts[key] += 1
                if key not in newest or record.received_us >= newest[key].received_us:
                    newest[key] = record
    return [
        Refused(code, source, count, _instant(last.received_us), last.reason)
        for (code, source), count in counts.most_common()
        for last in (newest[code, source],)
    ]


def _instant(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds")
