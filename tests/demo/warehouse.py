"""A tiny loader: simulated events into an in-memory DuckDB, as docs/decisions/0002 lays it out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from penstock.demo.compare import SCHEMA
from penstock.demo.tables import Query

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
STANDARD = ("id", "anonymous_id", "user_id", "timestamp", "received_at")
TABLES = {"identify": "identifies", "page": "pages", "screen": "screens"}


class Warehouse:
    """Loads events, answers Redshift SQL."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(f"create schema {SCHEMA}; set timezone = 'UTC'")
        tables: dict[str, list[dict[str, Any]]] = {}
        users: dict[str, dict[str, Any]] = {}
        for event in events:
            rows = flatten(event)
            for table, row in rows:
                tables.setdefault(table, []).append(row)
            if event["type"] == "identify":
                traits = {key: value for key, value in rows[0][1].items() if key not in STANDARD}
                users.setdefault(event["userId"], {"id": event["userId"]}).update(traits)
        for table, rows_of_table in (tables | {"users": list(users.values())}).items():
            self._create(table, rows_of_table)

    def query(self, sql: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Run one Redshift statement."""
        translated = sqlglot.transpile(sql, read="redshift", write="duckdb")
        assert len(translated) == 1
        cursor = self.connection.execute(translated[0])
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def records(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a Redshift statement, by column name."""
        names, rows = self.query(sql)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _create(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        if table != "users":
            names += [name for name in STANDARD if name not in names]
        columns = {name: [row.get(name) for row in rows] for name in names}
        selected = []
        for name, values in columns.items():
            filled = [value for value in values if value is not None]
            if any(isinstance(value, float) for value in filled):
                columns[name] = [None if value is None else float(value) for value in values]
            is_instant = filled and isinstance(filled[0], str) and INSTANT.fullmatch(filled[0])
            kind = 'cast("{0}" as timestamptz)::timestamp' if is_instant else '"{0}"'
            if not filled:
                kind = 'cast("{0}" as varchar)'
            selected.append(f'{kind} as "{{0}}"'.format(name))
        arrow = pa.table(columns)
        self.connection.register("incoming", arrow)
        self.connection.execute(
            f"create table {SCHEMA}.{table} as select {', '.join(selected)} from incoming"
        )
        self.connection.unregister("incoming")


def warehouse_query(events: Iterable[Mapping[str, Any]]) -> Query:
    """A query function over freshly loaded events."""
    return Warehouse(events).query


def snake(name: str) -> str:
    """Enough of the naming rule for the demo's names."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|\s+", "_", name).lower()


def flatten(event: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The rows of one event."""
    row: dict[str, Any] = {
        "id": event["messageId"],
        "anonymous_id": event.get("anonymousId"),
        "user_id": event.get("userId"),
        "timestamp": event["timestamp"],
        "received_at": "2030-01-01T00:00:00.000Z",
    }
    nest("context", event["context"], row)
    if event["type"] == "track":
        table = snake(event["event"])
        row |= {"event": table, "event_text": event["event"]}
        full = dict(row)
        nest("", event["properties"], full)
        return [("tracks", row), (table, full)]
    if event["type"] != "identify":
        row["name"] = event["name"]
    nest("", event.get("properties", {}) | event.get("traits", {}), row)
    return [(TABLES[event["type"]], row)]


def nest(prefix: str, values: Mapping[str, Any], row: dict[str, Any]) -> None:
    """Flatten objects; arrays become compact JSON."""
    for key, value in values.items():
        name = f"{prefix}_{snake(key)}".lstrip("_")
        if isinstance(value, Mapping):
            nest(name, value, row)
        elif isinstance(value, list):
            row[name] = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        else:
            row[name] = value
