"""The warehouse's part of the loss ledger, kept in the transaction that loads the events."""

from __future__ import annotations

from collections import Counter

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from penstock.events.counts import HOUR_US, Counts
from penstock.warehouses.staging import CALL_TABLES

__all__ = ["LEDGER", "MAIN_TABLES", "PROGRESS", "Tally", "received_hours"]

PROGRESS = """
CREATE TABLE IF NOT EXISTS penstock.progress (part INTEGER NOT NULL, next BIGINT NOT NULL,
    loaded BIGINT NOT NULL, filtered BIGINT NOT NULL, counted_from BIGINT NOT NULL DEFAULT 0);
"""
"""``counted_from``: position of the first event that ``penstock.ledger`` counts."""
LEDGER = """
CREATE TABLE IF NOT EXISTS penstock.ledger (source VARCHAR NOT NULL, hour BIGINT NOT NULL,
    loaded BIGINT NOT NULL, filtered BIGINT NOT NULL, discarded BIGINT NOT NULL);
"""
MAIN_TABLES = frozenset({"tracks", *CALL_TABLES.values()})
"""The tables of which each event has a row in exactly one."""


class Tally:
    """What became of a chunk's events, by source and hour of receipt."""

    def __init__(self) -> None:
        self.loaded: Counts = Counter()
        self.filtered: Counts = Counter()
        self.discarded: Counts = Counter()

    def add_rows(self, source: str, rows: pa.Table, inserted: int) -> None:
        """Count rows of a main table; ``inserted`` is what the engine says it took."""
        hours = received_hours(rows)
        short = rows.num_rows - inserted
        for hour, count in hours.items():
            taken = max(count - short, 0)
            short -= count - taken
            self.loaded[source, hour] += taken

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Add to the table, inside the caller's transaction."""
        for source, hour in {*self.loaded, *self.filtered, *self.discarded}:
            key = (source, hour)
            counts = [self.loaded[key], self.filtered[key], self.discarded[key]]
            changed = connection.execute(
                "UPDATE penstock.ledger SET loaded = loaded + ?, filtered = filtered + ?, "
                "discarded = discarded + ? WHERE source = ? AND hour = ?",
                [*counts, source, hour],
            ).fetchone()
            if not changed or changed[0] == 0:
                connection.execute(
                    "INSERT INTO penstock.ledger VALUES (?, ?, ?, ?, ?)", [source, hour, *counts]
                )


def received_hours(rows: pa.Table) -> Counter[int]:
    """Rows by hour of ``received_at``, in hours since 1970 UTC."""
    instants = rows["received_at"].cast(pa.int64())
    bounds = pc.min_max(instants).as_py()
    first, last = bounds["min"] // HOUR_US, bounds["max"] // HOUR_US
    if first == last:
        return Counter({first: rows.num_rows})
    found = pc.value_counts(pc.divide(instants, HOUR_US)).to_pylist()
    return Counter({pair["values"]: pair["counts"] for pair in found})
