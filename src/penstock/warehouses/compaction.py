"""Duplicates from beyond the dedupe window.

``process`` drops an event that it saw within the window. One that comes again later, from a
client that was offline for days or from history sent twice, is loaded; this job removes it. Event
tables have no primary keys, which would cost nine times the load time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import duckdb

from penstock.warehouses.naming import quoted

__all__ = ["COMPACTIONS", "compact", "is_due"]

log = logging.getLogger("penstock.warehouse")
_WITHOUT_IDS = frozenset({"users", "accounts", "discards"})
COMPACTIONS = """
CREATE TABLE IF NOT EXISTS penstock.compactions (at_us BIGINT NOT NULL, removed BIGINT NOT NULL);
"""


def is_due(connection: duckdb.DuckDBPyConnection, now_us: int, every_us: int) -> bool:
    """Whether the last compaction is longer ago than ``every_us``; never for a new warehouse."""
    row = connection.execute("SELECT max(at_us) FROM penstock.compactions").fetchone()
    if row is None or row[0] is None:
        connection.execute("INSERT INTO penstock.compactions VALUES (?, 0)", [now_us])
        return False
    return bool(now_us - row[0] >= every_us)


def compact(
    connection: duckdb.DuckDBPyConnection,
    catalog: Mapping[str, Mapping[str, object]],
    now_us: int,
) -> int:
    """Keep the row of each id that was loaded first; returns how many rows went.

    One transaction a table. Loading waits meanwhile.
    """
    removed = 0
    for schema, tables in catalog.items():
        for table in tables:
            if table not in _WITHOUT_IDS:
                removed += _compact_table(connection, f"{quoted(schema)}.{quoted(table)}")
    connection.execute("INSERT INTO penstock.compactions VALUES (?, ?)", [now_us, removed])
    return removed


def _compact_table(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Take out all rows of repeated ids and put the first of each back.

    DuckDB's own ``rowid`` would be shorter, but an event may have a property of that name.
    """
    run = connection.execute
    run("BEGIN TRANSACTION")
    run(
        f"""CREATE TEMP TABLE _kept AS
        SELECT * FROM {table}
        WHERE id IN (SELECT id FROM {table} GROUP BY id HAVING count(*) > 1)
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY loaded_at) = 1"""
    )
    gone = _count(connection, f"DELETE FROM {table} WHERE id IN (SELECT id FROM _kept)")
    kept = _count(connection, f"INSERT INTO {table} BY NAME SELECT * FROM _kept")
    run("DROP TABLE _kept")
    run("COMMIT")
    if gone > kept:
        log.info("%s: %d rows had been loaded before", table, gone - kept)
    return gone - kept


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
