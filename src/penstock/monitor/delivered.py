"""The part of the loss ledger that is about destinations.

For each destination, source and hour of receipt: of the events that stand in ``events`` and that
the destination has passed, every one was delivered, filtered, waits in the retry table, or is dead.
The monitor counts what it reads itself, as it does for the rest of the ledger; the deliver role
counts outcomes, and writes them together with its position. An event that matches several mappings
has several outcomes: ``more`` are those beyond one for each event.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from penstock.destinations.delivery.records import Gone, LedgerSum
from penstock.errors import JournalError
from penstock.events.counts import Counts, counted
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Block, Journal

__all__ = ["AskDeliveries", "DeliveryLedger", "DeliveryRow", "delivery_rows"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger_blocks (part INTEGER NOT NULL, first INTEGER NOT NULL,
    "end" INTEGER NOT NULL, source TEXT NOT NULL, hour INTEGER NOT NULL, events INTEGER NOT NULL,
    folded INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS ledger_blocks_end ON ledger_blocks (part, "end");
CREATE TABLE IF NOT EXISTS ledger_passed (destination TEXT NOT NULL, part INTEGER NOT NULL,
    started INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (destination, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_deliveries (destination TEXT NOT NULL, source TEXT NOT NULL,
    hour INTEGER NOT NULL, passed INTEGER NOT NULL DEFAULT 0, more INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0, filtered INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (destination, source, hour)) WITHOUT ROWID;
"""
_MOST_ROWS = 20_000
_KEPT = 2_000
"""Rows of the newest blocks that always stay: a new destination may begin there."""
_FOLDED_EVENTS = 100_000
_LATELY_H = 48
_decode = msgspec.msgpack.Decoder(list[Record]).decode
Places = dict[tuple[str, int], tuple[int, int]]
AskDeliveries = Callable[[int], tuple[Places, list[LedgerSum], list[Gone]]]
"""``DeliveryStore.ledger``."""


@dataclass(frozen=True)
class DeliveryRow:
    """One destination, source and hour."""

    destination: str
    source: str
    hour: datetime
    """Beginning of the hour, UTC."""
    passed: int
    """Events that the destination has passed, as the monitor counted them."""
    more: int
    """Outcomes beyond one for each event."""
    delivered: int
    filtered: int
    waiting: int
    dead: int

    @property
    def missing(self) -> int:
        """Events lost on their way to the destination; below zero: counted twice."""
        return self.passed + self.more - self.delivered - self.filtered - self.waiting - self.dead


def delivery_rows(
    connection: sqlite3.Connection,
    *,
    since: datetime | None = None,
    source: str | None = None,
    unbalanced: bool = False,
) -> list[DeliveryRow]:
    """By hour, source and destination, oldest first; none while nothing was delivered."""
    known = "SELECT 1 FROM sqlite_master WHERE name = 'ledger_deliveries'"
    if connection.execute(known).fetchone() is None:
        return []
    hour = -1 if since is None else int(since.timestamp()) // 3600
    found = connection.execute(
        "SELECT destination, source, hour, passed, more, delivered, filtered, waiting, dead "
        "FROM ledger_deliveries WHERE hour >= ? AND (? IS NULL OR source = ?) "
        "ORDER BY hour, source, destination",
        (hour, source, source),
    )
    rows = [
        DeliveryRow(slug, of, datetime.fromtimestamp(at * 3600, UTC), *counts)
        for slug, of, at, *counts in found
    ]
    return [row for row in rows if row.missing] if unbalanced else rows


class _NotYet(Exception):
    """The monitor has not read so far, or can't say: ask again later."""


class _Unknown(Exception):
    """What stood there is not known any more: begin to compare at this place."""


class DeliveryLedger:
    """Notes blocks as they pass; ``confirm`` compares with what the deliver role says."""

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        connection.executescript(_SCHEMA)
        self._new: list[tuple[int, int, int, str, int, int]] = []

    def observe(self, part: int, block: Block, records: Iterable[Record]) -> None:
        """Note one block of ``events``."""
        self._new += [
            (part, block.first, block.end, source, hour, events)
            for (source, hour), events in counted(records).items()
        ]

    def flush(self) -> None:
        """Write what was noted; in the caller's transaction."""
        new, self._new = self._new, []
        self._connection.executemany(
            'INSERT INTO ledger_blocks (part, first, "end", source, hour, events) '
            "VALUES (?, ?, ?, ?, ?, ?)",
            new,
        )
        for part in {row[0] for row in new}:
            self._prune(part)

    def confirm(self, ask: AskDeliveries) -> None:
        """Compare; in the caller's transaction. Raises PenstockError when nobody answers."""
        places, sums, gaps = ask(self._since())
        behind = set()
        for (slug, part), (started, following) in places.items():
            try:
                self._pass(slug, part, started, following, gaps)
            except _NotYet:
                behind.add(slug)
            except _Unknown:
                self._begin_at(slug, part, started, following, sums)
        self._connection.executemany(
            "INSERT INTO ledger_deliveries (destination, source, hour, more, delivered, filtered, "
            "waiting, dead) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "more = excluded.more, delivered = excluded.delivered, filtered = excluded.filtered, "
            "waiting = excluded.waiting, dead = excluded.dead",
            [
                (one.destination, one.source, one.hour, one.more, one.delivered, one.filtered,
                 one.waiting, one.dead)
                for one in sums if one.destination not in behind
            ],
        )  # fmt: skip

    def _since(self) -> int:
        """The oldest hour whose row may change."""
        (newest,) = self._connection.execute("SELECT max(hour) FROM ledger_blocks").fetchone()
        (opened,) = self._connection.execute(
            "SELECT min(hour) FROM ledger_deliveries WHERE waiting <> 0 "
            "OR passed + more <> delivered + filtered + waiting + dead"
        ).fetchone()
        lately = (newest or 0) - _LATELY_H
        return lately if opened is None else min(opened, lately)

    # Passing --------------------------------------------------------------------------------

    def _pass(
        self, slug: str, part: int, started: int, following: int, gaps: Sequence[Gone]
    ) -> None:
        """Count what a destination has passed since the last time, all or nothing."""
        row = self._connection.execute(
            "SELECT started, next FROM ledger_passed WHERE destination = ? AND part = ?",
            (slug, part),
        ).fetchone()
        at = started if row is None or row[0] != started else row[1]
        if at > following:
            raise _Unknown
        ours = [(gap.first, gap.end) for gap in gaps
                if gap.destination == slug and gap.part == part]  # fmt: skip
        passed = self._between(part, at, following, ours) if at < following else Counter()
        self._connection.executemany(
            "INSERT INTO ledger_deliveries (destination, source, hour, passed) "
            "VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET passed = passed + excluded.passed",
            [(slug, source, hour, count) for (source, hour), count in passed.items()],
        )
        self._reach(slug, part, started, following)

    def _between(self, part: int, at: int, end: int, gaps: list[tuple[int, int]]) -> Counts:
        rows = self._connection.execute(
            'SELECT first, "end", source, hour, events, folded FROM ledger_blocks '
            'WHERE part = ? AND "end" > ? AND first < ? ORDER BY first',
            (part, at, end),
        ).fetchall()
        (reached,) = self._connection.execute(
            'SELECT coalesce(max("end"), 0) FROM ledger_blocks WHERE part = ?', (part,)
        ).fetchone()
        if reached < end:
            raise _NotYet
        known = rows and rows[0][0] <= at
        if not known and not any(first <= at < last for first, last in gaps):
            raise _Unknown
        found: Counts = Counter()
        partly: set[int] = set()
        for first, last, source, hour, events, folded in rows:
            if at <= first and last <= end and not _touches(first, last, gaps):
                found[source, hour] += events
            elif folded:
                raise _NotYet
            else:
                partly.add(first)
        for first in partly:
            found.update(self._part_of(part, first, at, end, gaps))
        return found

    def _part_of(
        self, part: int, first: int, at: int, end: int, gaps: list[tuple[int, int]]
    ) -> Counts:
        """The counts of some events of a block, read from the journal again."""
        try:
            blocks = self._journal.read(EVENTS, part, first, 1).blocks
        except JournalError as error:
            raise _NotYet from error
        if not blocks or blocks[0].first != first:
            if any(begin <= first < last for begin, last in gaps):
                return Counter()  # it was gone before the destination came to it
            raise _Unknown
        return counted(
            record
            for position, record in enumerate(_decode(blocks[0].body), first)
            if at <= position < end and not any(begin <= position < last for begin, last in gaps)
        )

    def _begin_at(
        self, slug: str, part: int, started: int, following: int, sums: Iterable[LedgerSum]
    ) -> None:
        """Take what the destination says of all before as right: there is nothing to compare."""
        for one in sums:
            if one.destination == slug:
                total = one.delivered + one.filtered + one.waiting + one.dead - one.more
                self._connection.execute(
                    "INSERT INTO ledger_deliveries (destination, source, hour, passed) "
                    "VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET passed = excluded.passed",
                    (slug, one.source, one.hour, total),
                )
        self._reach(slug, part, started, following)

    def _reach(self, slug: str, part: int, started: int, following: int) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO ledger_passed VALUES (?, ?, ?, ?)",
            (slug, part, started, following),
        )

    # Making room ----------------------------------------------------------------------------

    def _prune(self, part: int) -> None:
        """Drop what all destinations have passed, and fold what some are far behind."""
        run = self._connection.execute
        (count,) = run("SELECT count(*) FROM ledger_blocks WHERE part = ?", (part,)).fetchone()
        if count <= 2 * _KEPT:
            return
        (edge,) = run(
            'SELECT min("end") FROM (SELECT "end" FROM ledger_blocks WHERE part = ? '
            'ORDER BY "end" DESC LIMIT ?)',
            (part, _KEPT),
        ).fetchone()
        places = [at for (at,) in run("SELECT next FROM ledger_passed WHERE part = ?", (part,))]
        run('DELETE FROM ledger_blocks WHERE part = ? AND "end" <= ?',
            (part, min([edge - 1, *places])))  # fmt: skip
        if count > _MOST_ROWS:
            self._fold(part, edge, sorted(places))

    def _fold(self, part: int, edge: int, places: list[int]) -> None:
        """Join the counts of old blocks, but not across a place where a destination is."""
        run = self._connection.execute
        groups: dict[tuple[int, int, str, int], list[int]] = {}
        rows = run(
            'SELECT rowid, first, "end", source, hour, events FROM ledger_blocks '
            'WHERE part = ? AND "end" < ?',
            (part, edge),
        ).fetchall()
        gone = []
        for row, first, end, source, hour, events in rows:
            if any(first < place < end for place in places):
                continue
            gone.append((row,))
            key = (sum(place <= first for place in places), first // _FOLDED_EVENTS, source, hour)
            group = groups.setdefault(key, [first, end, 0])
            group[0], group[1], group[2] = (
                min(group[0], first), max(group[1], end), group[2] + events,
            )  # fmt: skip
        self._connection.executemany("DELETE FROM ledger_blocks WHERE rowid = ?", gone)
        self._connection.executemany(
            "INSERT INTO ledger_blocks VALUES (?, ?, ?, ?, ?, ?, 1)",
            [(part, first, end, source, hour, events)
             for (_, _, source, hour), (first, end, events) in groups.items()],
        )  # fmt: skip


def _touches(first: int, end: int, gaps: list[tuple[int, int]]) -> bool:
    return any(begin < end and first < last for begin, last in gaps)
