"""``penstock status``: lag, rates and what is waiting."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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

_RATE_WINDOW_S = 1.0
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
    rejected_lately: list[Refused]
    """The newest 1,000 of each partition, by code and source, most frequent first."""


@dataclass(frozen=True)
class _Counts:
    received: int
    rejected: int
    processed: int
    events: int
    loaded: int
    filtered: int


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
        ("loaded into the warehouse", f"{found.loaded:,}"),
        ("  waiting to be loaded", f"{found.warehouse_lag:,}"),
        ("  kept out by integrations.Warehouses", f"{found.filtered:,}"),
        ("rejected", f"{found.rejected:,}"),
        ("received per second", f"{found.received_per_s:,.0f}"),
        ("loaded per second", f"{found.loaded_per_s:,.0f}"),
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


def read_status(settings: Settings) -> Status:
    """Read the status twice, a second apart, for the rates."""
    journal = SqliteJournal(settings.journal_folder)
    running = is_running(settings)
    try:
        before = _counts(journal, settings)
        if running:
            time.sleep(_RATE_WINDOW_S)
        after = _counts(journal, settings) if running else before
        sizes = sum(journal.size(topic) for topic in (RECEIVED, EVENTS, REJECTED))
        refused = _rejected_lately(journal)
    finally:
        journal.close()
    return Status(
        running=running,
        received=after.received,
        rejected=after.rejected,
        processed=after.processed,
        events=after.events,
        duplicates=max(after.processed - after.events, 0),
        loaded=after.loaded,
        filtered=after.filtered,
        process_lag=after.received - after.processed,
        warehouse_lag=max(after.events - after.loaded - after.filtered, 0),
        received_per_s=(after.received - before.received) / _RATE_WINDOW_S,
        loaded_per_s=(after.loaded - before.loaded) / _RATE_WINDOW_S,
        journal_bytes=sizes,
        damage=damage_reports(Path(settings.journal_folder)),
        rejected_lately=refused,
    )


def _counts(journal: Journal, settings: Settings) -> _Counts:
    """What each part has done, read against the stream so that no part is ahead of another."""
    loaded = filtered = 0
    try:
        rows = run_query(
            settings, "select sum(loaded)::bigint, sum(filtered)::bigint from penstock.progress"
        )
        loaded, filtered = (rows.column(0)[0].as_py() or 0, rows.column(1)[0].as_py() or 0)
    except PenstockError:
        pass  # no warehouse yet
    events = _end(journal, EVENTS)
    processed = _processed(journal)
    received = _end(journal, RECEIVED)
    rejected = _end(journal, REJECTED)
    return _Counts(received, rejected, min(processed, received), events, loaded, filtered)


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
