"""Where events are on their way, and why some are not where they were expected."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.errors import PenstockError
from penstock.events.model import RejectedRecord, Source
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED, Journal
from penstock.monitor.delivered import delivery_rows
from penstock.monitor.discards import Discarded, discards_lately
from penstock.monitor.ledger import ledger_holes, ledger_rows
from penstock.monitor.store import MonitorStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Balance", "Disabled", "Missing", "Refused", "Status", "read_status"]

log = logging.getLogger("penstock.monitor")
_RATE_WINDOW_S = 1.0
_TAIL = 20_000
_NEWEST_REJECTED = 1_000
_LATELY = timedelta(hours=24)
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode
Ask = Callable[[str], "pa.Table"]


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
class Disabled:
    """A source that is switched off."""

    source: str
    refused: int
    """Requests refused for that among the newest 1,000 refusals of each partition."""


@dataclass(frozen=True)
class Missing:
    """Events that one stage was given and did not hand on; below zero: handed on twice."""

    source: str
    hour: str
    """Of receipt, ISO-8601 in UTC."""
    stage: str
    """collector, process, warehouse, or ``deliver:`` and a destination."""
    events: int


@dataclass(frozen=True)
class Balance:
    """The loss ledger of the last 24 hours, and all that ever was missing."""

    accepted: int
    duplicate: int
    stored: int
    loaded: int
    waiting: int
    missing: list[Missing]
    holes: list[str]
    """Ranges of ``received`` of which no later stage told anything."""


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
    discards_lately: list[Discarded] | None
    """Values of the last 24 hours that no column could hold, most frequent first."""
    disabled: list[Disabled]
    balance: Balance | None
    """None while the monitor has not counted anything."""


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


def read_status(
    journal: Journal,
    ask: Ask | None,
    *,
    running: bool,
    damage: list[dict[str, object]] | None = None,
    sources: Sequence[Source] = (),
    store: MonitorStore | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    wait: Callable[[float], None] = time.sleep,
) -> Status:
    """Read the status; twice, a second apart, for the rates, when an engine is running.

    ``ask`` is None when there is no warehouse yet. One that does not answer is asked once.
    """
    before = after = _counts(journal, _loaded(ask))
    began = time.monotonic()
    if running:
        wait(_RATE_WINDOW_S)
        after = _counts(journal, _loaded(ask) if before.warehouse else None)
    seconds = max(time.monotonic() - began, _RATE_WINDOW_S)
    there = after.warehouse
    refused = _rejected_lately(journal)
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
        journal_bytes=sum(journal.size(topic) for topic in (RECEIVED, EVENTS, REJECTED)),
        damage=damage or [],
        rejected_lately=refused,
        discards_lately=_discards(ask, now() - _LATELY) if there else None,
        disabled=_disabled(sources, refused),
        balance=_balance(store, now() - _LATELY) if store else None,
    )


def _rate(before: _Loaded | None, after: _Loaded | None, seconds: float) -> float | None:
    return (after.loaded - before.loaded) / seconds if before and after else None


def _loaded(ask: Ask | None) -> _Loaded | None:
    """What the warehouse holds; None when it does not tell."""
    if ask is None:
        return _Loaded(0, 0)  # no warehouse yet
    try:
        rows = ask("select sum(loaded)::bigint, sum(filtered)::bigint from penstock.progress")
    except PenstockError as error:
        log.warning("the warehouse does not answer: %s", error)
        return None
    return _Loaded(rows.column(0)[0].as_py() or 0, rows.column(1)[0].as_py() or 0)


def _discards(ask: Ask | None, since: datetime) -> list[Discarded] | None:
    if ask is None:
        return []
    try:
        return discards_lately(ask, since)
    except PenstockError as error:
        log.warning("the warehouse does not answer: %s", error)
        return None


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
    """How far `process` is: what it committed, or what the newest blocks it wrote say."""
    reached = {
        part: journal.position("process", RECEIVED, part) for part in journal.partitions(RECEIVED)
    }
    for topic, part in [
        (name, number) for name in (EVENTS, COUNTS) for number in journal.partitions(name)
    ]:
        end = journal.end(topic, part)
        for block in journal.read(topic, part, max(end - _TAIL, 0), _TAIL).blocks:
            made_from: dict[str, Any] = msgspec.json.decode(block.meta)
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


def _disabled(sources: Sequence[Source], refused: list[Refused]) -> list[Disabled]:
    counts = {one.source: one.count for one in refused if one.code == "source_disabled"}
    return [Disabled(s.slug, counts.get(s.slug, 0)) for s in sources if not s.enabled]


def _balance(store: MonitorStore, since: datetime) -> Balance:
    lately = ledger_rows(store.connection, since=since)
    missing = [
        Missing(row.source, row.hour.isoformat(), stage, events)
        for row in ledger_rows(store.connection, unbalanced=True)
        for stage, events in row.missing.items()
    ]
    missing += [
        Missing(row.source, row.hour.isoformat(), f"deliver:{row.destination}", row.missing)
        for row in delivery_rows(store.connection, unbalanced=True)
    ]
    return Balance(
        accepted=sum(row.accepted for row in lately),
        duplicate=sum(row.duplicate for row in lately),
        stored=sum(row.stored for row in lately),
        loaded=sum(row.loaded for row in lately),
        waiting=sum(row.waiting for row in lately),
        missing=missing,
        holes=[
            f"received/{hole.partition}: {hole.first} to {hole.end - 1}"
            for hole in ledger_holes(store.connection)
        ],
    )


def _instant(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds")
