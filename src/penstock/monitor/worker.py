"""Counts what passes: volumes, the schema catalogue, the loss ledger."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from penstock.errors import JournalDamaged, MonitorError, PenstockError
from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import COUNTS, EVENTS, REJECTED, Block, Journal
from penstock.monitor.catalogue import CatalogueWriter
from penstock.monitor.delivered import AskDeliveries, DeliveryLedger
from penstock.monitor.ledger import Ask, Ledger
from penstock.monitor.masks import Masks
from penstock.monitor.names import EventIds, name_of, name_of_refused
from penstock.monitor.shape import Shapes
from penstock.monitor.store import MonitorStore
from penstock.monitor.volumes import STORED, add_volumes, fold, rejected_as

__all__ = ["CONSUMER", "MonitorWorker"]

log = logging.getLogger("penstock.monitor")
CONSUMER = "monitor"
_MINUTE_US = 60_000_000
_CHUNK = 2_000
_ROUND = 40_000
"""Most events of a partition in one round."""
_EXAMINED = 100
"""Events of a round that are looked at whatever their name; beyond, the first of each name."""
_MOST_EXAMINED = 500
_MOST_VALUES = 50_000
_TRACK = b'{"type":"track",'
_EVENT = b',"event":"'
"""A stored event begins with its texts. Up to the first brace all is top level, and no JSON string
has a quote in it without a backslash: what stands between this and the next quote is the name,
unless there is a backslash or a dollar in it."""
_PATIENCE_S = 10.0
_CONFIRM_S = 5.0
decode_records = msgspec.msgpack.Decoder(list[Record]).decode
decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode
Asked = TypeVar("Asked")
Key = tuple[str, str, int]
"""(source, event name, minutes since 1970)."""


@dataclass
class _Round:
    """What was counted and not written yet."""

    stored: dict[Key, list[int]] = field(default_factory=dict)
    """[events, first receipt, last receipt]."""
    quick: dict[tuple[str, bytes, int], list[int]] = field(default_factory=dict)
    """The same counts, by the name as it stands in the payload, where that is the name itself."""
    rejected: dict[tuple[str, str, int, str], list[int]] = field(default_factory=dict)
    """By (source, name, minute, outcome)."""
    shapes: dict[tuple[str, str], Shapes] = field(default_factory=dict)
    examined: int = 0
    values: int = 0
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    events: int = 0
    full: bool = False
    """Whether there may be more to read at once."""
    damaged: bool = False
    """Whether a part could not be read to its end."""
    caught_up: bool = False
    """Whether what was read is all there was at one moment."""


_Count = Callable[[_Round, int, Block, int], None]
"""Counts a block of a partition, without so many events at its beginning."""


class MonitorWorker:
    """The one writer of the monitor's file.

    A round, at most one a second unless there is more to read than fits into one: read, count in
    memory, then write the counts and the positions in one transaction, so that a crash neither
    loses nor repeats any; then tell the journal, for retention.
    """

    def __init__(
        self,
        journal: Journal,
        store: MonitorStore,
        *,
        masked: str = "",
        retention: timedelta = timedelta(days=90),
        ledger: Callable[[sqlite3.Connection], Ledger] = Ledger,
        ask: Ask | None = None,
        ask_deliveries: AskDeliveries | None = None,
        every: timedelta = timedelta(seconds=1),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal = journal
        self._store = store
        self._masks = Masks(masked)
        self._retention = retention
        self._new_ledger = ledger
        self._ledger = ledger(store.connection)
        self._ask = ask
        self._deliveries = DeliveryLedger(store.connection, journal)
        self._ask_deliveries = ask_deliveries
        self._every = every.total_seconds()
        self._clock = clock
        self._now = now
        self._due = self._confirm_due = clock()
        self._behind_since: dict[tuple[str, int], float] = {}
        self._ids = EventIds(store.connection)
        self._catalogue = CatalogueWriter(store.connection)
        self._positions = {
            (topic, part): position
            for topic in (EVENTS, REJECTED, COUNTS)
            for part, position in store.positions(topic).items()
        }

    def step(self) -> int:
        """One round, when it is time; returns the events read."""
        began = self._clock()
        if began < self._due:
            return 0
        self._due = began + self._every
        found = self._round()
        if found.full:
            self._due = began
        elif began >= self._confirm_due:
            self._confirm_due = began + _CONFIRM_S
            self.confirm()
        return found.events

    def maintain(self) -> None:
        """Make room: fold old minutes, drop what retention no longer keeps."""
        with self._store.transaction():
            fold(self._store.connection, self._now(), self._retention)

    def confirm(self) -> None:
        """Compare the ledger with what readers say; nothing with one that does not answer."""
        if self._ask is not None:
            self._compare(self._ledger.confirm, self._ask)
        if self._ask_deliveries is not None:
            self._compare(self._deliveries.confirm, self._ask_deliveries)

    def _compare(self, confirm: Callable[[Asked], object], ask: Asked) -> None:
        try:
            with self._store.transaction():
                confirm(ask)
        except MonitorError:
            raise
        except PenstockError as error:
            log.debug("a reader does not say how far it is: %s", error)

    def close(self) -> None:
        """Count what is there; the journal and the store are the caller's."""
        self._round()
        self.confirm()

    # Reading --------------------------------------------------------------------------------

    def _round(self) -> _Round:
        try:
            found = self._read_all()
            if found.positions:
                self._write(found)
        except BaseException:  # what the ledger was told of is going to be read again
            self._ledger = self._new_ledger(self._store.connection)
            self._deliveries = DeliveryLedger(self._store.connection, self._journal)
            raise
        return found

    def _read_all(self) -> _Round:
        found = _Round()
        readers: tuple[tuple[str, _Count], ...] = (
            (COUNTS, self._count_counts),
            (EVENTS, self._count_events),
            (REJECTED, self._count_rejected),
        )
        for topic, count in readers:
            for part in self._journal.partitions(topic):
                self._read(found, topic, part, count)
        found.caught_up = not found.full and not found.damaged and self._saw_all_counts(found)
        return found

    def _saw_all_counts(self, found: _Round) -> bool:
        """Whether nothing came to ``counts``, which is read first, while the rest was read."""
        try:
            return all(
                self._journal.end(COUNTS, part)
                == found.positions.get((COUNTS, part), self._positions.get((COUNTS, part), 0))
                for part in self._journal.partitions(COUNTS)
            )
        except JournalDamaged:
            return False

    def _read(self, found: _Round, topic: str, part: int, count: _Count) -> None:
        place = (topic, part)
        position = start = self._checked(topic, part)
        if start != self._positions.get(place, 0):
            found.positions[place] = start
        while position - start < _ROUND:
            try:
                reading = self._journal.read(topic, part, position, _CHUNK)
            except JournalDamaged as damage:
                log.error("%s/%d can't be read on yet: %s", topic, part, damage)
                found.damaged = True
                break
            for gap in reading.gaps:
                log.warning("%s/%d: %d to %d can't be read (%s); they are not counted",
                            topic, part, gap.first, gap.end - 1, gap.reason)  # fmt: skip
            for block in reading.blocks:
                try:
                    count(found, part, block, max(position - block.first, 0))
                except msgspec.MsgspecError as error:
                    log.error("%s/%d: %d to %d can't be decoded: %s",
                              topic, part, block.first, block.end - 1, error)  # fmt: skip
            if reading.next == position:
                break
            position = found.positions[place] = reading.next
        else:
            found.full = True
        found.events += position - start

    def _checked(self, topic: str, part: int) -> int:
        """Where to read on: the end of a journal that lost its tail after it was counted.

        A journal that is being mended just now is shorter for a moment; that is waited for.
        """
        place = (topic, part)
        position = self._positions.get(place, 0)
        try:
            end = self._journal.end(topic, part)
        except JournalDamaged:
            return position  # reading says more
        if end >= position:
            self._behind_since.pop(place, None)
            return position
        since = self._behind_since.setdefault(place, self._clock())
        if self._clock() - since < _PATIENCE_S:
            return position
        log.error("%s/%d ends at %d; %d were counted; reading on there", topic, part, end, position)
        return end

    # Counting -------------------------------------------------------------------------------

    def _count_events(self, found: _Round, part: int, block: Block, skipped: int) -> None:
        """Each event passes here; a microsecond here is a percent of a core at 10 K events/s."""
        records = decode_records(block.body)[skipped:]
        quick = found.quick.get
        for record in records:
            at_us = record.received_us
            payload = record.payload
            entry = raw = None
            start = payload.find(_EVENT, 15, payload.find(b"{", 1)) + 10
            if start > 9 and payload.startswith(_TRACK):
                end = payload.find(b'"', start)
                raw = (record.source, payload[start:end], at_us // _MINUTE_US)
                entry = quick(raw)
            if entry is None:
                entry = self._entry(found, record, raw)
            entry[0] += 1
            if at_us > entry[2]:
                entry[2] = at_us
            elif at_us < entry[1]:
                entry[1] = at_us
            if found.examined < _EXAMINED:
                self._examine(found, record, name_of(payload))
        self._ledger.observe(part, block, records)
        self._deliveries.observe(part, block, records)

    def _entry(
        self, found: _Round, record: Record, raw: tuple[str, bytes, int] | None
    ) -> list[int]:
        """The counts of an event's name and minute, by which it is found more quickly next time."""
        name = name_of(record.payload)
        key = (record.source, name, record.received_us // _MINUTE_US)
        entry = found.stored.get(key)
        if entry is None:
            entry = found.stored[key] = [0, record.received_us, record.received_us]
            if found.examined >= _EXAMINED:
                self._examine(found, record, name)
        if raw is not None and raw[1] == name.encode("utf-8", "replace"):
            found.quick[raw] = entry
        return entry

    def _examine(self, found: _Round, record: Record, name: str) -> None:
        """Look at the properties of an event, while there is room for it in this round."""
        if found.examined >= _MOST_EXAMINED or found.values >= _MOST_VALUES:
            return
        shapes = found.shapes.get((record.source, name))
        if shapes is None:
            shapes = found.shapes[record.source, name] = Shapes(self._masks)
        found.examined += 1
        found.values += shapes.add(record.payload, record.received_us)

    def _count_rejected(self, found: _Round, part: int, block: Block, skipped: int) -> None:
        del part
        records = decode_rejected(block.body)[skipped:]
        for record in records:
            at_us = record.received_us
            name = name_of_refused(record.original, record.path)
            key = (record.source, name, at_us // _MINUTE_US, rejected_as(record.code))
            entry = found.rejected.setdefault(key, [0, at_us, at_us])
            entry[0] += 1
            entry[1] = min(entry[1], at_us)
            entry[2] = max(entry[2], at_us)
        self._ledger.observe_rejected(block, records)

    def _count_counts(self, found: _Round, part: int, block: Block, skipped: int) -> None:
        del found, part, skipped
        self._ledger.observe_counts(block)

    # Writing --------------------------------------------------------------------------------

    def _write(self, found: _Round) -> None:
        try:
            with self._store.transaction():
                self._write_counts(found)
                self._write_shapes(found)
                self._ledger.flush(caught_up=found.caught_up)
                self._deliveries.flush()
                self._store.connection.executemany(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                    [(*place, position) for place, position in found.positions.items()],
                )
        except BaseException:
            self._ids.forget()
            self._catalogue.forget()
            raise
        self._positions.update(found.positions)
        for (topic, part), position in found.positions.items():
            self._journal.commit(CONSUMER, topic, part, position)

    def _write_counts(self, found: _Round) -> None:
        volumes = []
        sums: dict[tuple[int, str], list[int]] = {}
        entries = [((*key, STORED), entry) for key, entry in found.stored.items()]
        for (source, name, minute, outcome), (count, first_us, last_us) in [
            *entries,
            *found.rejected.items(),
        ]:
            event = self._ids.of(source, name, first_us)
            volumes.append((minute, event, outcome, count))
            column = "count" if outcome == STORED else "rejected"
            total = sums.setdefault((event, column), [0, first_us, last_us])
            total[0] += count
            total[1] = min(total[1], first_us)
            total[2] = max(total[2], last_us)
        add_volumes(self._store.connection, volumes)
        for (event, column), (count, first_us, last_us) in sums.items():
            self._store.connection.execute(
                f"UPDATE events SET {column} = {column} + ?, first_us = min(first_us, ?), "
                "last_us = max(last_us, ?) WHERE id = ?",
                (count, first_us, last_us, event),
            )

    def _write_shapes(self, found: _Round) -> None:
        for (source, name), shapes in found.shapes.items():
            event = self._ids.of(source, name, 0)
            if not self._ids.is_other(source, event):
                self._catalogue.add(event, shapes)
