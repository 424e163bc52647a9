"""The loss ledger: what each stage was given and what came out, by source and hour of receipt.

Every stage writes its own counts in the transaction that writes the events, and counts what it is
given apart from what it hands on:

==========  =====================================================================================
collector   ``accepted``: events that a 200 promised, by the requests' items; ``refused`` likewise
process     ``read`` from ``received``, and ``duplicate``; ``removed`` and ``added`` by functions
journal     ``stored``: what stands in ``events``; ``rejected``: what stands in ``rejected``
warehouse   ``loaded``, ``filtered`` by integrations, ``discarded`` whole
==========  =====================================================================================

So ``accepted - read`` is what the collector lost, and
``read - duplicate - removed + added - stored`` the process step,
``confirmed - loaded - filtered - discarded`` the warehouse, where ``confirmed`` is the part of
``stored`` that the warehouse has passed. All are zero when nothing is lost, at any moment, since
only ranges that the next stage has taken in are compared. A negative one is what came out twice.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from penstock.errors import WarehouseError
from penstock.events.counts import Counts, counted, decode_counts
from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import Block
from penstock.process.meta import EventsMeta, decode_events_meta

__all__ = ["Hole", "Ledger", "LedgerRow", "ledger_holes", "ledger_rows"]

_COLUMNS = (
    "accepted", "refused", "read", "duplicate", "stored", "rejected",
    "confirmed", "loaded", "filtered", "discarded", "removed", "added",
)  # fmt: skip
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS ledger (source TEXT NOT NULL, hour INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in _COLUMNS)},
    PRIMARY KEY (source, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_unconfirmed (part INTEGER NOT NULL, first INTEGER NOT NULL,
    "end" INTEGER NOT NULL, source TEXT NOT NULL, hour INTEGER NOT NULL, events INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS ledger_unconfirmed_end ON ledger_unconfirmed (part, "end");
CREATE TABLE IF NOT EXISTS ledger_ranges (partition INTEGER NOT NULL, first INTEGER NOT NULL,
    "end" INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ledger_holes (partition INTEGER NOT NULL, first INTEGER NOT NULL,
    "end" INTEGER NOT NULL);
"""
_MOST_UNCONFIRMED = 20_000
_KEPT_APART = 2_000
Ask = Callable[[str], Sequence[Sequence[object]]]
"""Rows of one SQL statement on the warehouse; raises PenstockError when it does not answer."""


@dataclass(frozen=True)
class LedgerRow:
    """One source and hour."""

    source: str
    hour: datetime
    """Beginning of the hour, UTC."""
    accepted: int
    refused: int
    read: int
    duplicate: int
    stored: int
    rejected: int
    confirmed: int
    """Of ``stored``, what the warehouse has passed."""
    loaded: int
    filtered: int
    discarded: int
    removed: int = 0
    """Dropped or refused by functions on the source."""
    added: int = 0
    """Made by them, beyond one event of one."""

    @property
    def waiting(self) -> int:
        """Stored and not yet loaded."""
        return self.stored - self.confirmed

    @property
    def missing(self) -> dict[str, int]:
        """Events lost (or, below zero, doubled) by stage; empty when the row balances."""
        differences = {
            "collector": self.accepted - self.read + self.refused - self.rejected,
            "process": self.read - self.duplicate - self.removed + self.added - self.stored,
            "warehouse": self.confirmed - self.loaded - self.filtered - self.discarded,
        }
        return {stage: n for stage, n in differences.items() if n}


@dataclass(frozen=True)
class Hole:
    """Positions of a partition of ``received`` of which no later stage told anything."""

    partition: int
    first: int
    end: int


def ledger_rows(
    connection: sqlite3.Connection,
    *,
    since: datetime | None = None,
    source: str | None = None,
    unbalanced: bool = False,
) -> list[LedgerRow]:
    """The ledger by hour and source, oldest first."""
    hour = -1 if since is None else int(since.timestamp()) // 3600
    found = connection.execute(
        f"SELECT source, hour, {', '.join(_COLUMNS)} FROM ledger WHERE hour >= ? "
        "AND (? IS NULL OR source = ?) ORDER BY hour, source",
        (hour, source, source),
    )
    rows = [
        LedgerRow(row[0], datetime.fromtimestamp(row[1] * 3600, UTC), *row[2:]) for row in found
    ]
    return [row for row in rows if row.missing] if unbalanced else rows


def ledger_holes(connection: sqlite3.Connection) -> list[Hole]:
    """Ranges that ``process`` passed without a word, as of the last time all was read."""
    found = connection.execute(
        'SELECT partition, first, "end" FROM ledger_holes ORDER BY partition, first'
    )
    return [Hole(*row) for row in found]


@dataclass
class _Sums:
    """What was counted since the last flush."""

    by_column: dict[str, Counts] = field(default_factory=dict)
    unconfirmed: list[tuple[int, int, int, str, int, int]] = field(default_factory=list)

    def add(self, column: str, counts: Counts) -> None:
        """Add to a column."""
        self.by_column.setdefault(column, Counter()).update(counts)


class Ledger:
    """Adds up the counts as they pass; ``flush`` writes them in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)
        _add_columns(connection)
        self._sums = _Sums()
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        for partition, first, end in connection.execute(
            'SELECT partition, first, "end" FROM ledger_ranges ORDER BY partition, first'
        ):
            self._ranges.setdefault(partition, []).append((first, end))

    def observe(self, part: int, block: Block, records: Iterable[Record]) -> None:
        """Count one block of ``events``."""
        meta = decode_events_meta(block.meta)
        stored = counted(records)
        if meta.counts is None:  # written before there was a ledger: nothing to compare with
            self._sums.add("accepted", stored)
            self._sums.add("read", stored)
        else:
            self._tell(meta)
        self._sums.add("stored", stored)
        self._sums.unconfirmed += [
            (part, block.first, block.end, source, hour, n) for (source, hour), n in stored.items()
        ]

    def observe_counts(self, block: Block) -> None:
        """Count one block of ``counts``: a range of which nothing was new."""
        self._tell(decode_events_meta(block.meta))

    def observe_rejected(self, block: Block, records: Iterable[RejectedRecord]) -> None:
        """Count one block of ``rejected``."""
        rejected = counted(records)
        refused = decode_counts(block.meta)
        self._sums.add("refused", rejected if refused is None else refused)
        self._sums.add("rejected", rejected)

    def _tell(self, meta: EventsMeta) -> None:
        for count in meta.counts or ():
            key = (count.source, count.hour)
            self._sums.add("accepted", Counter({key: count.accepted}))
            self._sums.add("read", Counter({key: count.read}))
            self._sums.add("duplicate", Counter({key: count.duplicate}))
            if count.removed or count.added:
                self._sums.add("removed", Counter({key: count.removed}))
                self._sums.add("added", Counter({key: count.added}))
        self._ranges[meta.partition] = _merged(
            [*self._ranges.get(meta.partition, []), (meta.first, meta.end)]
        )

    def flush(self, *, caught_up: bool) -> None:
        """Write what was counted; ``caught_up``: everything there is was observed."""
        sums, self._sums = self._sums, _Sums()
        for column, counts in sums.by_column.items():
            self._connection.executemany(
                f"INSERT INTO ledger (source, hour, {column}) VALUES (?, ?, ?) "
                f"ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}",
                [(source, hour, n) for (source, hour), n in counts.items()],
            )
        self._connection.executemany(
            "INSERT INTO ledger_unconfirmed VALUES (?, ?, ?, ?, ?, ?)", sums.unconfirmed
        )
        if sums.unconfirmed:
            self._fold()
        if sums.by_column or caught_up:
            self._write_ranges(caught_up)

    def _fold(self) -> None:
        """A warehouse that is away for long does not make the list grow without end."""
        for part, count in self._connection.execute(
            "SELECT part, count(*) FROM ledger_unconfirmed GROUP BY part"
        ).fetchall():
            if count > _MOST_UNCONFIRMED:
                self._fold_part(part)

    def _fold_part(self, part: int) -> None:
        """Make one entry of all but the newest; the warehouse will pass them in the end."""
        run = self._connection.execute
        (edge,) = run(
            'SELECT min("end") FROM (SELECT "end" FROM ledger_unconfirmed WHERE part = ? '
            'ORDER BY "end" DESC LIMIT ?)',
            (part, _KEPT_APART),
        ).fetchone()
        rows = run(
            "SELECT min(first) OVER (), source, hour, events FROM (SELECT min(first) AS first, "
            "source, hour, sum(events) AS events FROM ledger_unconfirmed "
            'WHERE part = ? AND "end" <= ? GROUP BY source, hour)',
            (part, edge),
        ).fetchall()
        run('DELETE FROM ledger_unconfirmed WHERE part = ? AND "end" <= ?', (part, edge))
        self._connection.executemany(
            "INSERT INTO ledger_unconfirmed VALUES (?, ?, ?, ?, ?, ?)",
            [(part, first, edge, source, hour, n) for first, source, hour, n in rows],
        )

    def _write_ranges(self, caught_up: bool) -> None:
        """Write what ``process`` told of, and what lies between once all was read."""
        run = self._connection
        run.execute("DELETE FROM ledger_ranges")
        for partition, ranges in self._ranges.items():
            run.executemany(
                "INSERT INTO ledger_ranges VALUES (?, ?, ?)",
                [(partition, first, end) for first, end in ranges],
            )
        if not caught_up:
            return
        run.execute("DELETE FROM ledger_holes")
        for partition, ranges in self._ranges.items():
            run.executemany(
                "INSERT INTO ledger_holes VALUES (?, ?, ?)",
                [(partition, before[1], after[0]) for before, after in pairwise(ranges)],
            )

    # The warehouse --------------------------------------------------------------------------

    def confirm(self, ask: Ask) -> bool:
        """Compare with what the warehouse says it did; in the caller's transaction.

        False when it is just now inside a block, or ahead of what was observed: ask again later.
        Raises PenstockError when the warehouse does not answer.
        """
        answer = ask(_question(self._oldest_open_hour()))
        passed = {_int(row[1]): (_int(row[2]), _int(row[3])) for row in answer if row[0] == "p"}
        if not all(self._is_aligned(part, following) for part, (following, _) in passed.items()):
            return False
        for part, (following, counted_from) in passed.items():
            self._pass(part, following, counted_from)
        self._connection.executemany(
            "INSERT INTO ledger (source, hour, loaded, filtered, discarded) VALUES (?,?,?,?,?) "
            "ON CONFLICT DO UPDATE SET loaded = excluded.loaded, filtered = excluded.filtered, "
            "discarded = excluded.discarded",
            [tuple(row[1:]) for row in answer if row[0] == "l"],
        )
        return True

    def _oldest_open_hour(self) -> int:
        (hour,) = self._connection.execute(
            "SELECT min(hour) FROM ledger WHERE stored <> loaded + filtered + discarded"
        ).fetchone()
        return hour if hour is not None else 1 << 40

    def _is_aligned(self, part: int, following: int) -> bool:
        """Whether the warehouse stands between two blocks, of which the first was observed."""
        inside, reached = self._connection.execute(
            'SELECT coalesce(max(first < ?1 AND "end" > ?1), 0), '
            'coalesce(max("end"), ?1) FROM ledger_unconfirmed WHERE part = ?2',
            (following, part),
        ).fetchone()
        return not inside and reached >= following

    def _pass(self, part: int, following: int, counted_from: int) -> None:
        """Count as confirmed what the warehouse has passed, unless it did before it counted."""
        place = (part, following)
        self._connection.execute(
            "INSERT INTO ledger (source, hour, confirmed) "
            "SELECT source, hour, sum(events) FROM ledger_unconfirmed "
            f'WHERE part = ? AND "end" <= ? AND "end" > {counted_from} GROUP BY source, hour '
            "ON CONFLICT DO UPDATE SET confirmed = confirmed + excluded.confirmed",
            place,
        )
        self._connection.execute(
            'DELETE FROM ledger_unconfirmed WHERE part = ? AND "end" <= ?', place
        )


def _add_columns(connection: sqlite3.Connection) -> None:
    """Those that a file from before functions lacks."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(ledger)")}
    for name in _COLUMNS:
        if name not in known:
            connection.execute(f"ALTER TABLE ledger ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")


def _question(since: int) -> str:
    """Positions and counts, in one statement so that they are of one moment."""
    return (
        "SELECT 'p' AS kind, part::VARCHAR AS name, next AS a, counted_from AS b, 0 AS c, 0 AS d "
        "FROM penstock.progress UNION ALL "
        "SELECT 'l', source, hour, loaded, filtered, discarded FROM penstock.ledger "
        f"WHERE hour >= {since}"
    )


def _int(value: object) -> int:
    if isinstance(value, int | str):
        return int(value)
    raise WarehouseError(f"the warehouse's ledger holds {value!r}")


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same positions in as few ranges as possible, ascending."""
    merged: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged
