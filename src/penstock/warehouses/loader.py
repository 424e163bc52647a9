"""The consumer that brings ``events`` into a warehouse."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from penstock.errors import WarehouseError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal
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
    """

    def __init__(
        self,
        journal: Journal,
        warehouse: Warehouse,
        *,
        chunk: int,
        on_gap: Callable[[str], None] = log.error,
    ) -> None:
        self._journal = journal
        self._warehouse = warehouse
        self._chunk = chunk
        self._on_gap = on_gap
        self._tables = 0
        self._positions = {part: progress.next for part, progress in warehouse.progress().items()}

    def step(self) -> Loaded | None:
        """Load one chunk of the first partition that has news; None when there is none.

        Raises WarehouseError; then the same chunk is read again by the next call.
        """
        for part in self._journal.partitions(EVENTS):
            position = self._positions.get(part, 0)
            reading = self._journal.read(EVENTS, part, position, self.chunk_size())
            for gap in reading.gaps:
                self._on_gap(
                    f"events {gap.first} to {gap.end - 1} of partition {part} can't be read "
                    f"({gap.reason}); they are missing in the warehouse"
                )
            if reading.next == position:
                continue
            records: list[Record] = []
            for block in reading.blocks:
                records += _decode(block.body)[max(position - block.first, 0) :]
            loaded = self._load(records, part, reading.next)
            self._positions[part] = reading.next
            self._journal.commit(CONSUMER, EVENTS, part, reading.next)
            self._tables = loaded.tables
            return loaded
        return None

    def _load(self, records: list[Record], part: int, following: int) -> Loaded:
        try:
            return self._warehouse.load(records, part, following)
        except WarehouseError:
            raise
        except Exception as error:
            raise WarehouseError(f"a chunk of {len(records)} events: {error!r}") from error

    def chunk_size(self) -> int:
        """Most events of the next chunk."""
        return self._chunk * min(1 + self._tables // _MANY_TABLES, 4)
