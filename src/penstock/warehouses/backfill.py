"""Filling a table from the journal: rows that a selective sync or a dropped table left out.

A job reads ``events`` from where it is kept up to where the warehouse had read when the job began,
and adds the rows of one table whose ids are not there. It is kept in the warehouse, a row for each
partition, and goes on after a restart.
"""

from __future__ import annotations

from concurrent.futures import Future
from queue import Empty, SimpleQueue

import duckdb
import msgspec

from penstock import logs
from penstock.errors import JournalError, WarehouseError, WarehouseInvalid, WarehouseUnavailable
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.wire import Wanted

__all__ = ["BACKFILLS", "Backfills"]

log = logs.get("penstock.warehouse")
BACKFILLS = """
CREATE TABLE IF NOT EXISTS penstock.backfills (id BIGINT NOT NULL, source VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL, since_us BIGINT NOT NULL, part INTEGER NOT NULL,
    next BIGINT NOT NULL, upto BIGINT NOT NULL, added BIGINT NOT NULL, state VARCHAR NOT NULL,
    note VARCHAR NOT NULL);
"""
"""``state`` is running, done or failed."""
_CHUNK = 10_000
_PATIENCE_S = 60.0
_decode = msgspec.msgpack.Decoder(list[Record]).decode


class Backfills:
    """The jobs of one warehouse. ``step`` is called by one thread, which alone writes."""

    def __init__(self, journal: Journal, warehouse: DuckDbWarehouse) -> None:
        self._journal = journal
        self._warehouse = warehouse
        self._asked: SimpleQueue[tuple[Wanted, Future[int]]] = SimpleQueue()
        warehouse.connection.execute(BACKFILLS)
        self._idle = not self._running()

    def start(self, wanted: Wanted) -> int:
        """Begin a job and give its number, from a thread other than the one that steps.

        Raises WarehouseError.
        """
        future: Future[int] = Future()
        self._asked.put((wanted, future))
        try:
            return future.result(_PATIENCE_S)
        except TimeoutError as error:
            raise WarehouseError("the warehouse is busy; the backfill begins later") from error

    def step(self) -> int:
        """Work on for a moment; returns the events looked at, 0 when there is nothing to do."""
        self._take_in()
        if self._idle:
            return 0
        row = self._running()
        if row is None:
            self._idle = True
            return 0
        return self._go_on(*row)

    def _take_in(self) -> None:
        while True:
            try:
                wanted, future = self._asked.get_nowait()
            except Empty:
                return
            try:
                future.set_result(self.begin(wanted))
            except (duckdb.Error, JournalError) as error:
                future.set_exception(WarehouseError(f"the backfill can't begin: {error}"))

    def begin(self, wanted: Wanted) -> int:
        """Begin a job and give its number, from the thread that steps."""
        run = self._warehouse.connection.execute
        found = run("SELECT coalesce(max(id), 0) + 1 FROM penstock.backfills").fetchone()
        number = int(found[0]) if found else 1
        for part, progress in self._warehouse.progress().items():
            start = min(self._journal.start(EVENTS, part), progress.next)
            run(
                "INSERT INTO penstock.backfills VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'running', '')",
                [number, wanted.source, wanted.table, wanted.since_us, part, start, progress.next],
            )
        self._idle = False
        return number

    def _running(self) -> tuple[int, str, str, int, int, int, int] | None:
        return self._warehouse.connection.execute(
            "SELECT id, source, table_name, since_us, part, next, upto FROM penstock.backfills "
            "WHERE state = 'running' ORDER BY id, part LIMIT 1"
        ).fetchone()

    def _go_on(
        self, job: int, source: str, table: str, since_us: int, part: int, position: int, upto: int
    ) -> int:
        reading = self._journal.read(EVENTS, part, position, min(_CHUNK, max(upto - position, 1)))
        following = min(max(reading.next, position), upto)
        events = [
            record
            for block in reading.blocks
            for record in _decode(block.body)[max(position - block.first, 0) : upto - block.first]
            if record.source == source and record.received_us >= since_us
        ]
        try:
            added = self._filled(source, table, events)
        except (WarehouseUnavailable, WarehouseInvalid):
            raise
        except WarehouseError as error:
            log.error("a backfill failed", source=source, table=table, error=error)
            self._update(job, part, following, 0, "failed", str(error)[:500])
            return len(events) or 1
        over = following >= upto or following == position
        self._update(job, part, following, added, "done" if over else "running", "")
        return following - position or 1

    def _filled(self, source: str, table: str, events: list[Record]) -> int:
        return self._warehouse.fill(source, table, events) if events else 0

    def _update(
        self, job: int, part: int, following: int, added: int, state: str, note: str
    ) -> None:
        """A crash between rows and this repeats a chunk, whose rows are there then."""
        self._warehouse.connection.execute(
            "UPDATE penstock.backfills SET next = ?, added = added + ?, state = ?, note = ? "
            "WHERE id = ? AND part = ?",
            [following, added, state, note, job, part],
        )
        self._warehouse.checkpoints.committed()
