"""The consumer that brings ``events`` into a warehouse."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

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


Chunk = TypeVar("Chunk")


@dataclass(frozen=True)
class _Next(Generic[Chunk]):
    """Events read from the journal, and prepared unless they can't be."""

    part: int
    following: int
    records: list[Record]
    chunk: Chunk | None
    error: WarehouseError | None


class Loader(Generic[Chunk]):
    """Loads what is new, in chunks that grow with the number of tables.

    A chunk has at most ``chunk`` events; when the one before wrote many tables, up to four times
    as many, because each table costs about the same however few rows it gets. While a chunk is
    committed the next one is read and prepared in a thread. The position is committed by the
    warehouse together with the rows; the journal is told afterwards, for retention only.

    A chunk that the warehouse refuses is tried again at half the size, and so on; a single event
    that it refuses is set aside, so that one odd event never stops the others.
    """

    def __init__(self, journal: Journal, warehouse: Warehouse[Chunk], *, chunk: int) -> None:
        self._journal = journal
        self._warehouse = warehouse
        self._chunk = chunk
        self._limit = 0
        """Most events of the next chunk while one is being refused; 0 otherwise."""
        self._tables = 0
        self._positions = {
            part: self._checked(part, progress.next)
            for part, progress in warehouse.progress().items()
        }
        self._ahead: Future[_Next[Chunk] | None] | None = None
        self._reader = ThreadPoolExecutor(1, "reader")

    def _checked(self, part: int, position: int) -> int:
        """The position, or the end of a journal that lost its tail after it was loaded."""
        end = self._journal.end(EVENTS, part)
        if end < position:
            log.error(
                "events of partition %d end at %d, but %d were loaded: the journal lost its tail; "
                "reading on at %d", part, end, position, end,
            )  # fmt: skip
        return min(position, end)

    def step(self) -> Loaded | None:
        """Load one chunk of the first partition that has news; None when there is none.

        Raises WarehouseError; the next call reads the same events again.
        """
        ahead, self._ahead = self._ahead, None
        following = ahead.result() if ahead is not None else self._read(dict(self._positions))
        if following is None:
            return None
        loaded = self._load(following)
        self._journal.commit(CONSUMER, EVENTS, following.part, following.following)
        self._tables = loaded.tables
        return loaded

    def _read_ahead(self, part: int, position: int) -> None:
        """Read the next chunk in a thread.

        Only while the warehouse commits, which takes no part in Python: two threads that both
        want the interpreter would hold each other up for longer than they gain.
        """
        self._ahead = self._reader.submit(self._read, {**self._positions, part: position})

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            wait([self._ahead])
            self._ahead = None

    def _read(self, positions: dict[int, int]) -> _Next[Chunk] | None:
        """The next chunk of the first partition that has news."""
        limit = self._limit or self.chunk_size()
        for part in self._journal.partitions(EVENTS):
            position = positions.get(part, 0)
            reading = self._journal.read(EVENTS, part, position, limit)
            for gap in reading.gaps:
                log.error(
                    "events %d to %d of partition %d can't be read (%s); they are missing in the "
                    "warehouse", gap.first, gap.end - 1, part, gap.reason,
                )  # fmt: skip
            if reading.next == position:
                continue
            records = _records(reading, position)
            following = reading.next
            if self._limit and len(records) > self._limit:
                following -= len(records) - self._limit
                records = records[: self._limit]
            try:
                prepared = self._warehouse.prepare(records)
            except WarehouseError as error:
                return _Next(part, following, records, None, error)
            return _Next(part, following, records, prepared, None)
        return None

    def _load(self, ready: _Next[Chunk]) -> Loaded:
        part, following = ready.part, ready.following
        try:
            if ready.chunk is None:
                raise ready.error or WarehouseError("nothing was prepared")
            loaded = self._warehouse.load(
                ready.chunk, part, following, lambda: self._read_ahead(part, following)
            )
        except (WarehouseUnavailable, WarehouseInvalid):
            self._drop_ahead()
            raise
        except WarehouseError as error:
            self._drop_ahead()
            if len(ready.records) > 1:
                self._limit = len(ready.records) // 2
                raise
            record = ready.records[0]
            log.error("event %s can't be loaded: %s", record.message_id, error)
            self._warehouse.set_aside(record, part, following, str(error))
            loaded = Loaded(1, 0, 1, 1)
        self._limit = self._limit * 2 if self._limit < self._chunk // 2 else 0
        self._positions[part] = following
        return loaded

    def chunk_size(self) -> int:
        """Most events of the next chunk."""
        return self._chunk * min(1 + self._tables // _MANY_TABLES, 4)

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.shutdown(wait=True, cancel_futures=True)


def _records(reading: Reading, position: int) -> list[Record]:
    records: list[Record] = []
    for block in reading.blocks:
        records += _decode(block.body)[max(position - block.first, 0) :]
    return records
