"""What the roles behind the collector report of themselves, once a second."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock import logs
from penstock.errors import PenstockError
from penstock.journal.contract import EVENTS, RECEIVED, TOPICS, Journal
from penstock.metrics import Distribution, Histogram, Page, SnapshotFile, Value
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.destinations.delivery.records import Figures
    from penstock.profiles.stream.role import SpaceFigures
    from penstock.warehouses.contract import Loaded  # and with it pyarrow, for every role

__all__ = [
    "LoadTally",
    "Reporter",
    "deliver_page",
    "lag",
    "ledger_page",
    "load_page",
    "process_page",
    "profiles_page",
]

log = logs.get("penstock.engine")
_EVERY_S = 1.0
READERS = {
    "process": ("process", RECEIVED),
    "warehouse": ("warehouse", EVENTS),
    "monitor": ("monitor", EVENTS),
    "profiles": ("profiles:default", EVENTS),
}
"""Name as a consumer and topic, by the role whose lag is told; of profiles the default space's."""


class Reporter:
    """Writes a role's figures; call it as often as you like, it works once a second.

    ``journal`` is for this alone: the role may read its own in another thread.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        journal: Journal,
        more: Callable[[], Page] = Page,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = SnapshotFile(settings.run_folder, role)
        self._settings = settings
        self._role = role
        self._journal = journal
        self._more = more
        self._clock = clock
        self._next = 0.0

    def __call__(self) -> None:
        """Report, when a second is over."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        page = self._more()
        try:
            page = Page((*page.values, *self._gauges()), page.distributions)
        except (PenstockError, OSError) as error:
            log.debug("no gauges", error=error)
        self._file.write(page)

    def _gauges(self) -> tuple[Value, ...]:
        if self._role not in READERS:
            return ()
        consumer, topic = READERS[self._role]
        events, age = lag(self._journal, consumer, topic, time.time_ns() // 1000)
        values = (
            Value("penstock_lag_events", float(events), (self._role,)),
            Value("penstock_lag_seconds", age.total_seconds(), (self._role,)),
        )
        if self._role != "process":
            return values
        free = shutil.disk_usage(self._settings.data).free
        sizes = (
            Value("penstock_journal_bytes", float(self._journal.size(topic)), (topic,))
            for topic in TOPICS
        )
        return (*values, *sizes, Value("penstock_disk_free_bytes", float(free)))


def lag(journal: Journal, reader: str, topic: str, now_us: int) -> tuple[int, timedelta]:
    """How many events a reader has before it, and the age of the oldest of them."""
    waiting, oldest_us = 0, now_us
    for part in journal.partitions(topic):
        position = max(journal.position(reader, topic, part), journal.start(topic, part))
        behind = journal.end(topic, part) - position
        if behind > 0:
            waiting += behind
            blocks = journal.read(topic, part, position, 1).blocks
            oldest_us = min([oldest_us, *(block.created_us for block in blocks)])
    return waiting, timedelta(microseconds=now_us - oldest_us)


def process_page(processed: int, duplicates: int) -> Page:
    """The figures of ``process``."""
    return Page(
        (
            Value("penstock_process_events_total", float(processed)),
            Value("penstock_process_duplicates_total", float(duplicates)),
        )
    )


def profiles_page(figures: SpaceFigures) -> Page:
    """The figures of ``profiles``."""
    return Page(
        (
            Value("penstock_profiles_events_total", float(figures.events)),
            Value("penstock_profiles_merges_total", float(figures.merges)),
            Value("penstock_profiles_told_total", float(figures.told)),
            Value("penstock_profiles_history_events", float(figures.history)),
        )
    )


def ledger_page(connection: sqlite3.Connection, since: timedelta = timedelta(hours=48)) -> Page:
    """What the loss ledger misses by stage; losses and doubles do not make up for each other."""
    from penstock.monitor.delivered import delivery_rows
    from penstock.monitor.ledger import ledger_rows

    missing = Counter({"collector": 0, "process": 0, "warehouse": 0})
    try:
        begin = datetime.now(UTC) - since
        unbalanced = ledger_rows(connection, since=begin, unbalanced=True)
        undelivered = delivery_rows(connection, since=begin, unbalanced=True)
    except sqlite3.Error as error:
        log.debug("no ledger", error=error)
        return Page()
    for row in unbalanced:
        missing.update({stage: abs(events) for stage, events in row.missing.items()})
    for gap in undelivered:
        missing[f"deliver:{gap.destination}"] += abs(gap.missing)
    return Page(
        tuple(
            Value("penstock_ledger_missing_events", float(events), (stage,))
            for stage, events in missing.items()
        )
    )


class LoadTally:
    """What the warehouse role has done since it started."""

    def __init__(self) -> None:
        self.loaded = 0
        self.filtered = 0
        self.discards = 0
        self.compacted = 0
        self.seconds = Histogram("penstock_warehouse_load_seconds")

    def add(self, loaded: Loaded, seconds: float) -> None:
        """Count one load."""
        self.loaded += loaded.events - loaded.filtered
        self.filtered += loaded.filtered
        self.discards += loaded.discards
        self.seconds.observe(seconds)


def deliver_page(figures: Iterable[Figures]) -> Page:
    """The figures of ``deliver``."""
    prefix = "penstock_deliver_"
    values: list[Value] = []
    for one in figures:
        labels = (one.destination,)
        values += (
            Value(f"{prefix}events_total", float(count), (one.destination, step))
            for step, count in sorted(one.steps.items())
        )
        values.append(Value(f"{prefix}behind_events", float(one.behind), labels))
        values.append(Value(f"{prefix}waiting_events", float(one.waiting), labels))
        values.append(Value(f"{prefix}up", float(one.state in ("delivering", "retrying")), labels))
    return Page(tuple(values))


def load_page(tally: LoadTally) -> Page:
    """The figures of ``warehouse``."""
    prefix = "penstock_warehouse_"
    return Page(
        (
            Value(f"{prefix}loaded_events_total", float(tally.loaded)),
            Value(f"{prefix}filtered_events_total", float(tally.filtered)),
            Value(f"{prefix}discards_total", float(tally.discards)),
            Value(f"{prefix}compacted_rows_total", float(tally.compacted)),
        ),
        (Distribution.of(f"{prefix}load_seconds", tally.seconds),),
    )
