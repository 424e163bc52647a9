"""Writing to DuckDB tables: new columns, rows, upserts, discards. Always inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from penstock.warehouses.naming import quoted
from penstock.warehouses.plan import OVERFLOW, TablePlan, TableTypes
from penstock.warehouses.staging import Discard
from penstock.warehouses.types import Kind, text
from penstock.warehouses.upserts import (
    Merged,
    StoredRow,
    decode_overflow,
    decode_versions,
    encode_versions,
)

__all__ = ["VERSIONS", "SchemaWriter"]

VERSIONS = """
CREATE TABLE IF NOT EXISTS penstock.versions (table_schema VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL, id VARCHAR NOT NULL, versions VARCHAR NOT NULL);
"""
_DISCARDS: TableTypes = {
    **dict.fromkeys(
        ("table_name", "row_id", "column_name", "column_value", "reason"), Kind.VARCHAR
    ),
    **dict.fromkeys(("received_at", "loaded_at"), Kind.TIMESTAMP),
}


class SchemaWriter:
    """Writes one chunk's part of one schema."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: str,
        tables: dict[str, TableTypes],
        now: str,
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._tables = tables
        """Types of the schema's tables; kept up to date as they change."""
        self._now = now
        """SQL literal of the time that ``uuid_ts`` and ``loaded_at`` get."""
        if not tables:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")

    def evolve(self, plan: TablePlan) -> list[Discard]:
        """Create the table or change its columns; what widening loses is returned."""
        table = f"{quoted(self._schema)}.{quoted(plan.table)}"
        lost: list[Discard] = []
        if plan.create:
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in plan.types.items())
            self._connection.execute(f"CREATE TABLE {table} ({columns})")
        else:
            for column in plan.widened:
                if plan.table not in ("users", "accounts"):
                    lost += self._inexact(table, plan.table, column)
                self._connection.execute(f"ALTER TABLE {table} ALTER {quoted(column)} TYPE DOUBLE")
            for column, kind in plan.added.items():
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column)} {kind}")
        self._tables[plan.table] = dict(plan.types)
        return lost

    def _inexact(self, table: str, name: str, column: str) -> list[Discard]:
        value = quoted(column)
        rows = self._connection.execute(
            f"SELECT id, {value}, received_at FROM {table} WHERE abs({value}::HUGEINT) > 1::HUGEINT"
            f" << 53 AND {value}::DOUBLE::HUGEINT <> {value}"
        ).fetchall()
        return [(name, row[0], column, row[1], "precision", row[2].isoformat()) for row in rows]

    def append(self, table: str, rows: pa.Table) -> int:
        """Add rows to a table; returns how many it took."""
        with self._shown("_chunk", rows):
            taken = self._connection.execute(
                f"INSERT INTO {self._name(table)} BY NAME "
                f"SELECT *, {self._now} AS uuid_ts, {self._now} AS loaded_at FROM _chunk"
            ).fetchone()
        return int(taken[0]) if taken else 0

    def missing(self, table: str, rows: pa.Table) -> list[str]:
        """Ids of rows that the table does not hold."""
        ids = rows.select(["id"])
        if table not in self._tables:
            return [str(value) for value in ids["id"].to_pylist()]
        with self._shown("_ids", ids):
            found = self._connection.execute(
                f"SELECT id FROM _ids ANTI JOIN {self._name(table)} USING (id)"
            ).fetchall()
        return [row[0] for row in found]

    def append_discards(self, discards: list[Discard]) -> None:
        """Record what has no place in a column."""
        if "discards" not in self._tables:
            self.evolve(TablePlan("discards", dict(_DISCARDS), create=True))
        columns = list(zip(*discards, strict=True))
        columns[3] = tuple(text(value) for value in columns[3])
        names = [*_DISCARDS][:6]
        arrays = [pa.array(column, pa.string()) for column in columns]
        with self._shown("_chunk", pa.table(arrays, names=names)):
            self._connection.execute(
                f"INSERT INTO {self._name('discards')} BY NAME SELECT * REPLACE "
                f"(received_at::TIMESTAMP AS received_at), {self._now} AS loaded_at FROM _chunk"
            )

    def stored(self, table: str, ids: list[str]) -> dict[str, StoredRow]:
        """What ``users`` or ``accounts`` hold of these ids."""
        types = self._tables.get(table)
        if types is None:
            return {}
        with self._shown("_ids", pa.table({"id": pa.array(ids, pa.string())})):
            rows = self._connection.execute(
                "SELECT id, versions FROM penstock.versions SEMI JOIN _ids USING (id) "
                "WHERE table_schema = ? AND table_name = ?",
                [self._schema, table],
            ).fetchall()
            stored = {row[0]: StoredRow(decode_versions(row[1])) for row in rows}
            if OVERFLOW in types:
                over = self._connection.execute(
                    f"SELECT id, {OVERFLOW} FROM {self._name(table)} "
                    f"SEMI JOIN _ids USING (id) WHERE {OVERFLOW} IS NOT NULL"
                ).fetchall()
                for key, content in over:
                    stored.setdefault(key, StoredRow()).overflow = decode_overflow(content)
        return stored

    def upsert(self, merged: Merged) -> None:
        """Change the rows that exist, add those that don't, and remember their versions."""
        table = self._name(merged.plan.table)
        sets = [
            f"{quoted(c)} = CASE WHEN s.{quoted(c + '__set')} THEN s.{quoted(c)} "
            f"ELSE t.{quoted(c)} END"
            for c in merged.changed
        ]
        sets.append("received_at = greatest(t.received_at, s.received_at)")
        sets += [f"uuid_ts = {self._now}", f"loaded_at = {self._now}"]
        into = ", ".join(map(quoted, ["id", "received_at", *merged.changed]))
        with self._shown("_chunk", merged.plan.rows):
            self._connection.execute(
                f"UPDATE {table} AS t SET {', '.join(sets)} FROM _chunk AS s WHERE t.id = s.id"
            )
            self._connection.execute(
                f"INSERT INTO {table} ({into}, uuid_ts, loaded_at) "
                f"SELECT {into}, {self._now}, {self._now} "
                f"FROM _chunk ANTI JOIN {table} USING (id)"
            )
        self._store_versions(merged)

    def _store_versions(self, merged: Merged) -> None:
        ids = list(merged.versions)
        texts = [encode_versions(merged.versions[key]) for key in ids]
        place = [self._schema, merged.plan.table]
        rows = pa.table({"id": pa.array(ids, pa.string()), "versions": pa.array(texts)})
        with self._shown("_chunk", rows):
            self._connection.execute(
                "DELETE FROM penstock.versions WHERE table_schema = ? AND table_name = ? "
                "AND id IN (SELECT id FROM _chunk)",
                place,
            )
            self._connection.execute(
                "INSERT INTO penstock.versions SELECT ?, ?, id, versions FROM _chunk", place
            )

    def _name(self, table: str) -> str:
        return f"{quoted(self._schema)}.{quoted(table)}"

    @contextmanager
    def _shown(self, name: str, rows: pa.Table | None) -> Iterator[None]:
        """Let SQL see Arrow rows under a name.

        After an error the transaction is void, and the name goes with it.
        """
        self._connection.register(name, rows)
        yield
        self._connection.unregister(name)
