"""Bringing a warehouse of an older format forward."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import duckdb

from penstock.errors import FormatTooNew

__all__ = ["FORMAT_VERSION", "STEPS", "migrate"]

log = logging.getLogger("penstock.warehouse")
STEPS: Mapping[int, Sequence[str]] = {
    1: (  # the ledger came with format 2; it counts from here on
        "ALTER TABLE penstock.progress ADD COLUMN counted_from BIGINT DEFAULT 0",
        "UPDATE penstock.progress SET counted_from = next",
    ),
}
"""What makes the format after it of a format."""
FORMAT_VERSION = max(STEPS) + 1


def migrate(
    connection: duckdb.DuckDBPyConnection,
    file: object,
    steps: Mapping[int, Sequence[str]] = STEPS,
) -> None:
    """Make a warehouse the newest format, each step in a transaction; a new one begins with it.

    Raises FormatTooNew before anything is written.
    """
    newest = max(steps) + 1
    stored = _stored(connection)
    if stored is None:
        connection.execute("CREATE SCHEMA IF NOT EXISTS penstock")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS penstock.about (format_version INTEGER NOT NULL)"
        )
        connection.execute("INSERT INTO penstock.about VALUES (?)", [newest])
        return
    if stored > newest:
        raise FormatTooNew(file, stored, newest)
    for version in range(stored, newest):
        connection.execute("BEGIN TRANSACTION")
        try:
            for statement in steps[version]:
                connection.execute(statement)
            connection.execute("UPDATE penstock.about SET format_version = ?", [version + 1])
            connection.execute("COMMIT")
        except duckdb.Error:
            connection.execute("ROLLBACK")
            raise
        log.info("%s: upgraded from format %d to %d", file, version, version + 1)


def _stored(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The format of the file; None while it has none."""
    (known,) = connection.execute(
        "SELECT count(*) FROM duckdb_tables() "
        "WHERE schema_name = 'penstock' AND table_name = 'about'"
    ).fetchall()
    if not known[0]:
        return None
    row = connection.execute("SELECT format_version FROM penstock.about").fetchone()
    return None if row is None else int(row[0])
