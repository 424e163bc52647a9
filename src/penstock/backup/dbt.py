"""A dbt sources file of what is in a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import yaml

from penstock.errors import BackupError
from penstock.warehouses.naming import SYSTEM_TABLES, quoted

__all__ = ["dbt_sources"]

_TABLES = {
    "tracks": "Every track call, without its properties.",
    "identifies": "Every identify call, with its traits.",
    "users": "One row for each userId: for each trait the value of the latest call.",
    "pages": "Every page call, with its properties.",
    "screens": "Every screen call, with its properties.",
    "groups": "Every group call, with its traits.",
    "accounts": "One row for each groupId: for each trait the value of the latest call.",
    "aliases": "Every alias call.",
    "discards": "Values that found no place in a column, and why.",
}
_COLUMNS = {
    "id": "The call's messageId; in users and accounts the user's or group's id.",
    "anonymous_id": "Id of a visitor who is not known yet.",
    "user_id": "Id of a known user.",
    "group_id": "Id of the account that the user belongs to.",
    "previous_id": "Id that the user had before.",
    "event": "Name of the event's table.",
    "event_text": "Name of the event as it was sent.",
    "received_at": "When it arrived, in UTC.",
    "timestamp": "When it happened, in UTC, corrected for wrong clocks.",
    "original_timestamp": "When it happened by the client's clock.",
    "sent_at": "When it was sent by the client's clock.",
    "uuid_ts": "When the row was processed.",
    "loaded_at": "When the row was loaded.",
    "_overflow": "What had no room among the columns, as JSON.",
}


def dbt_sources(snapshot: Path) -> str:
    """YAML that names each schema, table and column with its type and a description.

    Raises BackupError when the snapshot can't be read.
    """
    try:
        connection = duckdb.connect(str(snapshot), read_only=True)
        try:
            columns = connection.execute(
                "SELECT table_schema, table_name, column_name, data_type "
                "FROM information_schema.columns WHERE table_schema <> 'penstock' "
                "ORDER BY table_schema, table_name, ordinal_position"
            ).fetchall()
            schemas = list(dict.fromkeys(row[0] for row in columns))
            names = {schema: _event_names(connection, schema, columns) for schema in schemas}
        finally:
            connection.close()
    except duckdb.Error as error:
        raise BackupError(f"can't read {snapshot}: {error}") from error
    sources = [
        {
            "name": schema,
            "description": f"Events of source {schema}, loaded by Penstock.",
            "schema": schema,
            "tables": _tables([row[1:] for row in columns if row[0] == schema], names[schema]),
        }
        for schema in schemas
    ]
    text: str = yaml.safe_dump(
        {"version": 2, "sources": sources}, sort_keys=False, allow_unicode=True, width=100
    )
    return f"# Written by `penstock snapshot --dbt`; the next one replaces it.\n{text}"


def _event_names(
    connection: duckdb.DuckDBPyConnection, schema: str, columns: list[Any]
) -> dict[str, str]:
    """What each event table's event is called by those who send it."""
    if not any(row[:2] == (schema, "tracks") for row in columns):
        return {}
    rows = connection.execute(
        f"SELECT event, min(event_text) FROM {quoted(schema)}.tracks "
        "WHERE event IS NOT NULL GROUP BY 1"
    )
    return dict(rows.fetchall())


def _tables(columns: list[Any], events: dict[str, str]) -> list[dict[str, Any]]:
    tables: dict[str, list[dict[str, str]]] = {}
    for table, column, kind in columns:
        about = {"name": column}
        description = _COLUMNS.get(column) or _described(table, column)
        if description:
            about["description"] = description
        tables.setdefault(table, []).append(about | {"data_type": kind.lower()})
    return [
        {
            "name": table,
            "description": _TABLES.get(table) or f"Event {events.get(table, table)}.",
            "columns": found,
        }
        for table, found in tables.items()
    ]


def _described(table: str, column: str) -> str:
    if column.startswith("context_"):
        return f"From the call's context: {column.removeprefix('context_')}."
    if table == "discards":
        return ""
    return (
        "Trait."
        if table in ("identifies", "users", "groups", "accounts")
        else ("Property." if table not in SYSTEM_TABLES or table in ("pages", "screens") else "")
    )
