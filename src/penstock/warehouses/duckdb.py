"""The embedded warehouse: DuckDB in one file."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from penstock.errors import QueryRefused, WarehouseError
from penstock.events.model import Record
from penstock.warehouses.contract import Loaded, Progress
from penstock.warehouses.naming import SYSTEM_TABLES, quoted
from penstock.warehouses.plan import (
    MAX_COLUMNS,
    OVERFLOW,
    TablePlan,
    TableTypes,
    plan_source,
)
from penstock.warehouses.queries import checked
from penstock.warehouses.staging import Discard, SourceStage, decode_event, is_routed
from penstock.warehouses.types import Kind, text
from penstock.warehouses.upserts import (
    Merged,
    StoredRow,
    decode_overflow,
    decode_versions,
    encode_versions,
    merge,
)

__all__ = ["MAX_EVENT_TABLES", "DuckDbWarehouse"]

log = logging.getLogger("penstock.warehouse")
FORMAT_VERSION = 1
MAX_EVENT_TABLES = 1_000
_CHECKPOINT = "512MB"
"""Each checkpoint writes the last row group of every table again, so seldom is cheap; what is in
the write-ahead file must be read again after a crash."""
_OWN = "penstock"
_SCHEMA = f"""
CREATE SCHEMA IF NOT EXISTS {_OWN};
CREATE TABLE IF NOT EXISTS {_OWN}.about (format_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS {_OWN}.progress (part INTEGER NOT NULL, next BIGINT NOT NULL,
    loaded BIGINT NOT NULL, filtered BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS {_OWN}.versions (table_schema VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL, id VARCHAR NOT NULL, versions VARCHAR NOT NULL);
"""
_DISCARDS: TableTypes = {
    **dict.fromkeys(
        ("table_name", "row_id", "column_name", "column_value", "reason"), Kind.VARCHAR
    ),
    **dict.fromkeys(("received_at", "loaded_at"), Kind.TIMESTAMP),
}


def _now_us() -> int:
    return time.time_ns() // 1000


class DuckDbWarehouse:
    """A Warehouse in a DuckDB file, which only this process may have open."""

    def __init__(
        self,
        file: Path | str,
        *,
        memory: str = "2GB",
        threads: int = 0,
        warehouse_id: str = "warehouse",
        sql_timeout: float = 300,
        max_event_tables: int = MAX_EVENT_TABLES,
        max_columns: int = MAX_COLUMNS,
        clock: Callable[[], int] = _now_us,
    ) -> None:
        self._id = warehouse_id
        self._timeout = sql_timeout
        self._max_tables = max_event_tables
        self._max_columns = max_columns
        self._clock = clock
        config: dict[str, Any] = {"memory_limit": memory, "checkpoint_threshold": _CHECKPOINT}
        if threads:
            config["threads"] = threads
        try:
            self.connection = duckdb.connect(str(file), config=config)
            self.connection.execute(_SCHEMA)
            self._check_format()
            self.connection.execute("SET TimeZone='UTC'")
            self.connection.execute("SET enable_external_access=false")
            self.connection.execute("SET python_enable_replacements=false")
            self.connection.execute("SET lock_configuration=true")
        except duckdb.Error as error:
            raise WarehouseError(f"can't open the warehouse {file}: {error}") from error
        self._catalog = self._read_catalog()

    def _check_format(self) -> None:
        row = self.connection.execute(f"SELECT format_version FROM {_OWN}.about").fetchone()
        if row is None:
            self.connection.execute(f"INSERT INTO {_OWN}.about VALUES ({FORMAT_VERSION})")
        elif row[0] > FORMAT_VERSION:
            raise WarehouseError(
                f"the warehouse was written by a newer Penstock (format {row[0]}); upgrade Penstock"
            )

    def _read_catalog(self) -> dict[str, dict[str, TableTypes]]:
        catalog: dict[str, dict[str, TableTypes]] = {}
        rows = self.connection.execute(
            "SELECT table_schema, table_name, column_name, data_type "
            "FROM information_schema.columns WHERE table_schema <> ? "
            "ORDER BY ordinal_position",
            [_OWN],
        ).fetchall()
        for schema, table, column, kind in rows:
            known = kind if kind in Kind.__members__ else "VARCHAR"
            catalog.setdefault(schema, {}).setdefault(table, {})[column] = Kind(known)
        return catalog

    def progress(self) -> dict[int, Progress]:
        """Progress by partition, as it was committed with the last rows."""
        rows = self.connection.cursor().execute(
            f"SELECT part, next, loaded, filtered FROM {_OWN}.progress"
        )
        return {row[0]: Progress(*row[1:]) for row in rows.fetchall()}

    # Loading --------------------------------------------------------------------------------

    def load(self, chunk: list[Record], part: int, following: int) -> Loaded:
        """Load events in order, and set the position, in one transaction."""
        stages, filtered = self._stage(chunk)
        processed = _timestamp(self._clock())
        tables = discards = 0
        try:
            self.connection.execute("BEGIN TRANSACTION")
            for schema, stage in stages.items():
                written, dropped = self._load_source(schema, stage, processed)
                tables += written
                discards += dropped
            self._advance(part, following, len(chunk) - filtered, filtered)
            self.connection.execute("COMMIT")
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            self._roll_back()
            raise WarehouseError(f"loading {len(chunk)} events failed: {error}") from error
        except BaseException:
            self._roll_back()
            raise
        return Loaded(len(chunk), filtered, tables, discards)

    def _roll_back(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error:
            log.debug("no transaction to roll back")
        self._catalog = self._read_catalog()

    def _stage(self, chunk: list[Record]) -> tuple[dict[str, SourceStage], int]:
        stages: dict[str, SourceStage] = {}
        filtered = 0
        for sequence, record in enumerate(chunk):
            event = decode_event(record.payload)
            if not is_routed(event.integrations, self._id):
                filtered += 1
                continue
            stage = stages.get(record.source)
            if stage is None:
                tables = self._catalog.get(record.source, {})
                own = [table for table in tables if table not in SYSTEM_TABLES]
                stage = stages[record.source] = SourceStage(own, self._max_tables)
            stage.add(sequence, event)
        return stages, filtered

    def _load_source(self, schema: str, stage: SourceStage, now: str) -> tuple[int, int]:
        known = self._catalog.setdefault(schema, {})
        if not known:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        plans = plan_source(stage, known.get, self._max_columns)
        merges = [
            merge(
                table,
                mentions,
                known.get(table),
                lambda ids, table=table: self._stored(schema, table, ids),  # type: ignore[misc]
                self._max_columns,
            )
            for table, mentions in stage.mentions.items()
            if mentions
        ]
        discards: list[Discard] = []
        for plan in [*plans, *(merged.plan for merged in merges)]:
            discards += plan.discards
            if plan.types:
                discards += self._evolve(schema, plan)
        for plan in plans:
            if plan.rows is not None:
                self._append(schema, plan.table, plan.rows, now)
        for merged in merges:
            self._upsert(schema, merged, now)
        if discards:
            self._append_discards(schema, discards, now)
        return len(plans) + len(merges), len(discards)

    def _evolve(self, schema: str, plan: TablePlan) -> list[Discard]:
        """Create the table or change its columns; what widening loses is returned."""
        table = f"{quoted(schema)}.{quoted(plan.table)}"
        lost: list[Discard] = []
        if plan.create:
            columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in plan.types.items())
            self.connection.execute(f"CREATE TABLE {table} ({columns})")
        else:
            for column in plan.widened:
                if plan.table not in ("users", "accounts"):
                    lost += self._inexact(table, plan.table, column)
                self.connection.execute(f"ALTER TABLE {table} ALTER {quoted(column)} TYPE DOUBLE")
            for column, kind in plan.added.items():
                self.connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column)} {kind}")
        self._catalog[schema][plan.table] = dict(plan.types)
        return lost

    def _inexact(self, table: str, name: str, column: str) -> list[Discard]:
        value = quoted(column)
        rows = self.connection.execute(
            f"SELECT id, {value}, received_at FROM {table} WHERE abs({value}::HUGEINT) > 1::HUGEINT"
            f" << 53 AND {value}::DOUBLE::HUGEINT <> {value}"
        ).fetchall()
        return [(name, row[0], column, row[1], "precision", row[2].isoformat()) for row in rows]

    def _append(self, schema: str, table: str, rows: pa.Table, now: str) -> None:
        self.connection.register("_chunk", rows)
        try:
            self.connection.execute(
                f"INSERT INTO {quoted(schema)}.{quoted(table)} BY NAME "
                f"SELECT *, {now} AS uuid_ts, {now} AS loaded_at FROM _chunk"
            )
        finally:
            self.connection.unregister("_chunk")

    def _append_discards(self, schema: str, discards: list[Discard], now: str) -> None:
        tables, rows, columns, values, reasons, received = zip(*discards, strict=True)
        if "discards" not in self._catalog[schema]:
            self._evolve(schema, TablePlan("discards", dict(_DISCARDS), create=True))
        self.connection.register(
            "_chunk",
            pa.table(
                {
                    "table_name": pa.array(tables, pa.string()),
                    "row_id": pa.array(rows, pa.string()),
                    "column_name": pa.array(columns, pa.string()),
                    "column_value": pa.array([text(value) for value in values], pa.string()),
                    "reason": pa.array(reasons, pa.string()),
                    "received_at": pa.array(received, pa.string()),
                }
            ),
        )
        try:
            self.connection.execute(
                f"INSERT INTO {quoted(schema)}.discards BY NAME SELECT * REPLACE "
                f"(received_at::TIMESTAMP AS received_at), {now} AS loaded_at FROM _chunk"
            )
        finally:
            self.connection.unregister("_chunk")

    def _stored(self, schema: str, table: str, ids: list[str]) -> dict[str, StoredRow]:
        types = self._catalog[schema].get(table)
        if types is None:
            return {}
        self.connection.register("_ids", pa.table({"id": pa.array(ids, pa.string())}))
        try:
            rows = self.connection.execute(
                f"SELECT id, versions FROM {_OWN}.versions SEMI JOIN _ids USING (id) "
                "WHERE table_schema = ? AND table_name = ?",
                [schema, table],
            ).fetchall()
            stored = {row[0]: StoredRow(decode_versions(row[1])) for row in rows}
            if OVERFLOW in types:
                over = self.connection.execute(
                    f"SELECT id, {OVERFLOW} FROM {quoted(schema)}.{quoted(table)} "
                    f"SEMI JOIN _ids USING (id) WHERE {OVERFLOW} IS NOT NULL"
                ).fetchall()
                for key, content in over:
                    stored.setdefault(key, StoredRow()).overflow = decode_overflow(content)
        finally:
            self.connection.unregister("_ids")
        return stored

    def _upsert(self, schema: str, merged: Merged, now: str) -> None:
        table = f"{quoted(schema)}.{quoted(merged.plan.table)}"
        sets = [
            f"{quoted(c)} = CASE WHEN s.{quoted(c + '__set')} THEN s.{quoted(c)} "
            f"ELSE t.{quoted(c)} END"
            for c in merged.changed
        ]
        sets.append("received_at = greatest(t.received_at, s.received_at)")
        sets += [f"uuid_ts = {now}", f"loaded_at = {now}"]
        names = ["id", "received_at", *merged.changed]
        into = ", ".join(map(quoted, names))
        self.connection.register("_chunk", merged.plan.rows)
        try:
            self.connection.execute(
                f"UPDATE {table} AS t SET {', '.join(sets)} FROM _chunk AS s WHERE t.id = s.id"
            )
            self.connection.execute(
                f"INSERT INTO {table} ({into}, uuid_ts, loaded_at) SELECT {into}, {now}, {now} "
                f"FROM _chunk ANTI JOIN {table} USING (id)"
            )
        finally:
            self.connection.unregister("_chunk")
        self._store_versions(schema, merged)

    def _store_versions(self, schema: str, merged: Merged) -> None:
        ids = list(merged.versions)
        texts = [encode_versions(merged.versions[key]) for key in ids]
        self.connection.register(
            "_chunk", pa.table({"id": pa.array(ids), "versions": pa.array(texts, pa.string())})
        )
        place = [schema, merged.plan.table]
        try:
            self.connection.execute(
                f"DELETE FROM {_OWN}.versions WHERE table_schema = ? AND table_name = ? "
                "AND id IN (SELECT id FROM _chunk)",
                place,
            )
            self.connection.execute(
                f"INSERT INTO {_OWN}.versions SELECT ?, ?, id, versions FROM _chunk", place
            )
        finally:
            self.connection.unregister("_chunk")

    def _advance(self, part: int, following: int, loaded: int, filtered: int) -> None:
        run = self.connection.execute
        row = run(
            f"UPDATE {_OWN}.progress SET next = ?, loaded = loaded + ?, filtered = filtered + ? "
            "WHERE part = ?",
            [following, loaded, filtered, part],
        ).fetchone()
        if not row or row[0] == 0:
            run(
                f"INSERT INTO {_OWN}.progress VALUES (?, ?, ?, ?)",
                [part, following, loaded, filtered],
            )

    # Queries --------------------------------------------------------------------------------

    def query(self, sql: str, dialect: str | None = None) -> pa.Table:
        """The result of one read-only statement; safe to call from any thread."""
        statement = checked(sql, dialect)
        cursor = self.connection.cursor()
        timer = threading.Timer(self._timeout, cursor.interrupt)
        timer.start()
        try:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            result = cursor.sql(statement).to_arrow_table()
        except duckdb.InterruptException as error:
            raise QueryRefused(f"the query ran longer than {self._timeout:g} s") from error
        except duckdb.Error as error:
            raise QueryRefused(str(error)) from error
        finally:
            timer.cancel()
            cursor.close()
        return result

    def close(self) -> None:
        """Close the engine."""
        self.connection.close()


def _timestamp(us: int) -> str:
    moment = datetime.fromtimestamp(us / 1_000_000, UTC).replace(tzinfo=None)
    return f"TIMESTAMP '{moment.isoformat(sep=' ', timespec='microseconds')}'"
