"""The embedded warehouse: DuckDB in one file."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import (
    WarehouseError,
    WarehouseInvalid,
    WarehouseUnavailable,
)
from penstock.events.counts import HOUR_US, Counts
from penstock.events.model import Record
from penstock.warehouses.checkpoints import Checkpoints
from penstock.warehouses.compaction import COMPACTIONS, compact, is_due
from penstock.warehouses.contract import Loaded, Progress
from penstock.warehouses.duckdb_writer import VERSIONS, SchemaWriter
from penstock.warehouses.ledger import LEDGER, MAIN_TABLES, PROGRESS, Tally
from penstock.warehouses.migrations import migrate
from penstock.warehouses.naming import SYSTEM_TABLES
from penstock.warehouses.plan import (
    MAX_COLUMNS,
    TableTypes,
    plan_source,
)
from penstock.warehouses.queries import MOST_RESULT_BYTES, Readers
from penstock.warehouses.selective import SelectiveSync
from penstock.warehouses.staging import Discard, SourceStage, decode_event, is_routed
from penstock.warehouses.types import Kind
from penstock.warehouses.upserts import (
    merge,
)

__all__ = ["MAX_EVENT_TABLES", "DuckDbWarehouse"]

log = logging.getLogger("penstock.warehouse")
MAX_EVENT_TABLES = 1_000
_NEVER = "1TB"
"""``Checkpoints`` says when, not the engine."""
_OWN = "penstock"
_SCHEMA = f"""
{PROGRESS}
{LEDGER}
{VERSIONS}
{COMPACTIONS}
"""


@dataclass(frozen=True)
class Prepared:
    """A chunk, read and flattened. It can be loaded once; after a failure prepare it again."""

    events: int
    filtered: Counts
    sources: dict[str, SourceStage]


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
        sql_parallel: int = 4,
        most_result_bytes: int = MOST_RESULT_BYTES,
        max_event_tables: int = MAX_EVENT_TABLES,
        max_columns: int = MAX_COLUMNS,
        selective: Callable[[], Mapping[str, SelectiveSync]] = dict,
        clock: Callable[[], int] = _now_us,
    ) -> None:
        """``selective`` gives the rules for each chunk, by source."""
        self._id = warehouse_id
        self._readers = Readers(
            lambda: self.connection.cursor(), sql_timeout, most_result_bytes, sql_parallel
        )
        self._max_tables = max_event_tables
        self._max_columns = max_columns
        self._selective = selective
        self._clock = clock
        config: dict[str, Any] = {"memory_limit": memory, "checkpoint_threshold": _NEVER}
        if threads:
            config["threads"] = threads
        try:
            self.connection = duckdb.connect(str(file), config=config)
            migrate(self.connection, file)
            self.connection.execute(_SCHEMA)
            self.connection.execute("SET TimeZone='UTC'")
            self.connection.execute("SET enable_external_access=false")
            self.connection.execute("SET python_enable_replacements=false")
            self.connection.execute("SET lock_configuration=true")
        except duckdb.Error as error:
            raise WarehouseError(f"can't open the warehouse {file}: {error}") from error
        self._catalog = self._read_catalog()
        self.checkpoints = Checkpoints(file, partial(self.connection.execute, "CHECKPOINT"))

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

    def prepare(self, chunk: list[Record]) -> Prepared:
        """Read and flatten events; may run in another thread while a chunk is loaded."""
        try:
            return self._stage(chunk)
        except Exception as error:
            raise _translated(f"reading {len(chunk)} events", error) from error

    def load(
        self,
        chunk: Prepared,
        part: int,
        following: int,
        before_commit: Callable[[], None] = lambda: None,
    ) -> Loaded:
        """Load events in order, and set the position, in one transaction."""
        tables = discards = 0
        filtered = chunk.filtered.total()
        tally = Tally()
        tally.filtered.update(chunk.filtered)
        try:
            processed = _timestamp(self._clock())
            self.connection.execute("BEGIN TRANSACTION")
            for schema, stage in chunk.sources.items():
                written, dropped = self._load_source(schema, stage, processed, tally)
                tables += written
                discards += dropped
            tally.write(self.connection)
            self._advance(part, following, chunk.events - filtered, filtered)
            before_commit()
            self.connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            raise _translated(f"loading {chunk.events} events", error) from error
        self.checkpoints.committed()
        return Loaded(chunk.events, filtered, tables, discards)

    def fill(self, schema: str, table: str, events: list[Record]) -> int:
        """Add the rows that these events have in one table and that are not there.

        Returns how many. The position, the counts and all other tables stay as they are. Raises
        WarehouseError.
        """
        try:
            stages = self._stage(events).sources
            if schema not in stages:
                return 0
            self.connection.execute("BEGIN TRANSACTION")
            added = self._fill(schema, table, stages[schema])
            self.connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            raise _translated(f"filling {schema}.{table}", error) from error
        self.checkpoints.committed()
        return added

    def _fill(self, schema: str, table: str, stage: SourceStage) -> int:
        known = self._catalog.setdefault(schema, {})
        writer = SchemaWriter(self.connection, schema, known, _timestamp(self._clock()))
        if table in stage.mentions:
            stored = partial(writer.stored, table)
            mentions = stage.mentions[table]
            if not mentions:
                return 0
            merged = merge(table, mentions, known.get(table), stored, self._max_columns)
            writer.evolve(merged.plan)
            writer.upsert(merged)
            return len({mention.key for mention in mentions})
        plans = plan_source(stage, known.get, self._max_tables, self._max_columns)
        added = 0
        for plan in plans:
            if plan.table != table or plan.rows is None:
                continue
            missing = writer.missing(table, plan.rows)
            rows = plan.rows.filter(pc.is_in(plan.rows["id"], pa.array(missing, pa.string())))
            if rows.num_rows:
                discards = [*writer.evolve(plan), *plan.discards]
                added += writer.append(table, rows)
                fresh = set(missing)
                lost = [discard for discard in discards if discard[1] in fresh]
                if lost:
                    writer.append_discards(lost)
        return added

    def set_aside(self, record: Record, part: int, following: int, why: str) -> None:
        """Put an event that can't be loaded into ``discards``, whole, and move past it."""
        known = self._catalog.setdefault(record.source, {})
        received = datetime.fromtimestamp(record.received_us / 1_000_000, UTC)
        content = record.payload.decode("utf-8", "replace")
        moment = received.replace(tzinfo=None).isoformat()
        discard = ("", record.message_id, "", content, f"unloadable: {why}"[:500], moment)
        try:
            self.connection.execute("BEGIN TRANSACTION")
            writer = SchemaWriter(self.connection, record.source, known, _timestamp(self._clock()))
            writer.append_discards([discard])
            tally = Tally()
            tally.discarded[record.source, record.received_us // HOUR_US] = 1
            tally.write(self.connection)
            self._advance(part, following, 1, 0)
            self.connection.execute("COMMIT")
        except duckdb.Error as error:
            self._roll_back()
            raise _translated("setting an event aside", error) from error
        self.checkpoints.committed()

    def compact(self, every: timedelta | None = None) -> int:
        """Remove rows whose id stands in the table already; see ``compaction``."""
        now = self._clock()
        try:
            if every is not None:
                every_us = int(every.total_seconds() * 1_000_000)
                if not is_due(self.connection, now, every_us):
                    return 0
            removed = compact(self.connection, self._catalog, now)
        except duckdb.Error as error:
            self._roll_back()
            raise _translated("compaction", error) from error
        self.checkpoints.committed()
        return removed

    def _roll_back(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error as error:
            log.debug("rolling back: %s", error)  # a failed commit has ended the transaction
        try:
            self._catalog = self._read_catalog()
        except duckdb.Error as error:
            raise WarehouseInvalid(f"the warehouse can't be read: {error}") from error

    def _stage(self, chunk: list[Record]) -> Prepared:
        stages: dict[str, SourceStage] = {}
        filtered: Counts = Counter()
        rules = self._selective()
        for sequence, record in enumerate(chunk):
            event = decode_event(record.payload)
            rule = rules.get(record.source) if rules else None
            if not is_routed(event.integrations, self._id) or (
                rule is not None and not rule.admits(event)
            ):
                filtered[record.source, record.received_us // HOUR_US] += 1
                continue
            stage = stages.get(record.source)
            if stage is None:
                known = frozenset(self._catalog.get(record.source, ()))
                stage = stages[record.source] = SourceStage(known)
            stage.add(sequence, event)
        return Prepared(len(chunk), filtered, stages)

    def _load_source(
        self, schema: str, stage: SourceStage, now: str, tally: Tally
    ) -> tuple[int, int]:
        known = self._catalog.setdefault(schema, {})
        writer = SchemaWriter(self.connection, schema, known, now)
        room = self._max_tables - sum(table not in SYSTEM_TABLES for table in known)
        plans = plan_source(stage, known.get, room, self._max_columns)
        merges = [
            merge(
                table,
                mentions,
                known.get(table),
                partial(writer.stored, table),
                self._max_columns,
            )
            for table, mentions in stage.mentions.items()
            if mentions
        ]
        discards: list[Discard] = []
        for plan in [*plans, *(merged.plan for merged in merges)]:
            discards += plan.discards
            if plan.types:
                discards += writer.evolve(plan)
        for plan in plans:
            if plan.rows is not None:
                inserted = writer.append(plan.table, plan.rows)
                if plan.table in MAIN_TABLES:
                    tally.add_rows(schema, plan.rows, inserted)
        for merged in merges:
            writer.upsert(merged)
        if discards:
            writer.append_discards(discards)
        return len(plans) + len(merges), len(discards)

    def _advance(self, part: int, following: int, loaded: int, filtered: int) -> None:
        run = self.connection.execute
        row = run(
            f"UPDATE {_OWN}.progress SET next = ?, loaded = loaded + ?, filtered = filtered + ? "
            "WHERE part = ?",
            [following, loaded, filtered, part],
        ).fetchone()
        if not row or row[0] == 0:
            run(
                f"INSERT INTO {_OWN}.progress VALUES (?, ?, ?, ?, 0)",
                [part, following, loaded, filtered],
            )

    # Queries --------------------------------------------------------------------------------

    @property
    def readers(self) -> Readers:
        """Runs, lists and cancels queries."""
        return self._readers

    def query(self, sql: str, dialect: str | None = None) -> pa.Table:
        """The result of one read-only statement; safe to call from any thread."""
        return self._readers.run(sql, dialect)

    def close(self) -> None:
        """Stop queries, and close the engine."""
        self._readers.close()
        self.checkpoints.close()
        try:
            self.connection.close()
        except duckdb.Error as error:  # a query that did not stop; the process ends anyway
            log.warning("closing the warehouse: %s", error)


_PASSING = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,  # a commit that the disk did not take
    OSError,
    MemoryError,
)


def _translated(what: str, error: Exception) -> WarehouseError:
    """What went wrong, as something to wait for, to reopen for, or neither."""
    text = f"{what} failed: {error}"
    if isinstance(error, duckdb.FatalException | duckdb.InternalException):
        return WarehouseInvalid(text)
    if isinstance(error, _PASSING):
        return WarehouseUnavailable(text)
    return WarehouseError(text)


def _timestamp(us: int) -> str:
    moment = datetime.fromtimestamp(us / 1_000_000, UTC).replace(tzinfo=None)
    return f"TIMESTAMP '{moment.isoformat(sep=' ', timespec='microseconds')}'"
