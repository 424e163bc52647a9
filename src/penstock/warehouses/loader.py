"""The consumer that brings ``events`` into a warehouse."""

from __future__ import annotations

import logging

import msgspec

from penstock.errors import WarehouseError, WarehouseInvalid, WarehouseUnavailable
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal, Reading
from penstock.warehouses.contract import Loaded, Warehouse

__all__ = ["CONSUMER", "Loader"]

log = logging.getLogger("penstock.warehouse")
CONSUMER = "warehouse"
_MANY_TABLES = 100
_decode = msgspec.msgpack.Decoder(list[Record]).decode


class Loader:
    """Loads what is new, in chunks that grow with the number of tables.

    A chunk has at most ``chunk`` events; when the one before wrote many tables, up to four times
    as many, because each table costs about the same however few rows it gets. The position is
    committed by the warehouse together with the rows; the journal is told afterwards, for
    retention only.

    A chunk that the warehouse refuses is tried again at half the size, and so on; a single event
    that it refuses is set aside, so that one odd event never stops the others.
    """

    def __init__(self, journal: Journal, warehouse: Warehouse, *, chunk: int) -> None:
        self._journal = journal
        self._warehouse = warehouse
        self._chunk = chunk
        self._limit = 0
        """Most events of the next chunk while one is being refused; 0 otherwise."""
        self._tables = 0
        self._positions = {part: progress.next for part, progress in warehouse.progress().items()}

    def step(self) -> Loaded | None:
        """Load one chunk of the first partition that has news; None when there is none.

        Raises WarehouseError; the next call reads the same events again.
        """
        for part in self._journal.partitions(EVENTS):
            position = self._positions.get(part, 0)
            reading = self._journal.read(EVENTS, part, position, self._limit or self.chunk_size())
            for gap in reading.gaps:
                log.error(
                    "events %d to %d of partition %d can't be read (%s); they are missing in the "
                    "warehouse", gap.first, gap.end - 1, part, gap.reason,
                )  # fmt: skip
            if reading.next == position:
                continue
            loaded = self._load(_records(reading, position), part, reading.next)
            self._journal.commit(CONSUMER, EVENTS, part, self._positions[part])
            self._tables = loaded.tables
            return loaded
        return None

    def _load(self, records: list[Record], part: int, following: int) -> Loaded:
        if self._limit and len(records) > self._limit:
            following -= len(records) - self._limit
            records = records[: self._limit]
        try:
            loaded = self._warehouse.load(records, part, following)
        except (WarehouseUnavailable, WarehouseInvalid):
            raise
        except WarehouseError as error:
            if len(records) > 1:
                self._limit = len(records) // 2
                raise
            log.error("event %s can't be loaded: %s", records[0].message_id, error)
            self._warehouse.set_aside(records[0], part, following, str(error))
            loaded = Loaded(1, 0, 1, 1)
        self._limit = self._limit * 2 if self._limit < self._chunk // 2 else 0
        self._positions[part] = following
        return loaded

    def chunk_size(self) -> int:
        """Most events of the next chunk."""
        return self._chunk * min(1 + self._tables // _MANY_TABLES, 4)


def _records(reading: Reading, position: int) -> list[Record]:
    records: list[Record] = []
    for block in reading.blocks:
        records += _decode(block.body)[max(position - block.first, 0) :]
    return records
