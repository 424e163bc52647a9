"""The consumer that brings ``events`` into a warehouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from penstock import logs
from penstock.errors import WarehouseError, WarehouseInvalid, WarehouseUnavailable
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal, Reading
from penstock.warehouses.contract import Loaded, Warehouse

__all__ = ["CONSUMER", "Loader"]

log = logs.get("penstock.warehouse")
CONSUMER = "warehouse"
_MANY_TABLES = 100
_FIRST_CHUNK = 4_000
_MENDING_S = 10.0
Chunk = TypeVar("Chunk")
_decode = msgspec.msgpack.Decoder(list[Record]).decode


@dataclass(frozen=True)
class _Placed:
    """Events of one partition, and where to read on after each."""

    part: int
    records: list[Record]
    ends: list[int]
    following: int
    """Where to read on after all of them, past what can't be read."""

    def cut(self, begin: int, end: int) -> _Placed:
        """Some of the events."""
        last = end == len(self.records)
        following = self.following if last else self.ends[end - 1]
        return _Placed(self.part, self.records[begin:end], self.ends[begin:end], following)


@dataclass(frozen=True)
class _Next(Generic[Chunk]):
    """Events read from the journal, and prepared unless they can't be."""

    placed: _Placed
    chunk: Chunk | None


class Loader(Generic[Chunk]):
    """Loads what is new, in chunks that grow with the number of tables.

    A chunk has at most ``chunk`` events; when the one before wrote many tables, up to four times
    as many, because each table costs about the same however few rows it gets. The first chunks
    are small, so that one too large for the memory does not end the process again and again.
    While a chunk is committed the next one is read and prepared in a thread. The position is
    committed by the warehouse together with the rows; the journal is told afterwards, for
    retention only.

    A chunk that the warehouse refuses is loaded in halves, and so on; a single event that it
    refuses is set aside, so that one odd event never stops the others.
    """

    def __init__(
        self,
        journal: Journal,
        warehouse: Warehouse[Chunk],
        *,
        chunk: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._warehouse = warehouse
        self._chunk = chunk
        self._clock = clock
        self._limit = min(_FIRST_CHUNK, chunk)
        self._tables = 0
        self._behind_since: dict[int, float] = {}
        self._positions = {part: progress.next for part, progress in warehouse.progress().items()}
        for part, position in self._positions.items():
            journal.commit(CONSUMER, EVENTS, part, position)
        self._ahead: Future[_Next[Chunk] | None] | None = None
        self._reader = ThreadPoolExecutor(1, "reader")

    def step(self) -> Loaded | None:
        """Load one chunk of the first partition that has news; None when there is none.

        Raises WarehouseUnavailable or WarehouseInvalid; the next call reads the rest again.
        """
        ahead, self._ahead = self._ahead, None
        ready = ahead.result() if ahead is not None else self._read(dict(self._positions))
        if ready is None:
            return None
        try:
            loaded = self._load(ready)
        except BaseException:
            self._drop_ahead()
            raise
        self._tables = loaded.tables
        self._limit = min(self._limit * 2, self.chunk_size())
        return loaded

    def chunk_size(self) -> int:
        """Most events of a chunk."""
        return self._chunk * min(1 + self._tables // _MANY_TABLES, 4)

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.shutdown(wait=True, cancel_futures=True)

    # Reading --------------------------------------------------------------------------------

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
        for part in self._journal.partitions(EVENTS):
            position = self._checked(part, positions.get(part, 0))
            reading = self._journal.read(EVENTS, part, position, self._limit)
            for gap in reading.gaps:
                log.error("events can't be read and are missing in the warehouse",
                          partition=part, first=gap.first, end=gap.end,
                          reason=gap.reason)  # fmt: skip
            if reading.next == position:
                continue
            placed = _placed(part, reading, position)
            try:
                return _Next(placed, self._warehouse.prepare(placed.records))
            except WarehouseError:
                return _Next(placed, None)
        return None

    def _checked(self, part: int, position: int) -> int:
        """The position, or the end of a journal that lost its tail after it was loaded.

        A journal that is being mended just now is shorter for a moment; that is waited for.
        """
        end = self._journal.end(EVENTS, part)
        if end >= position:
            self._behind_since.pop(part, None)
            return position
        since = self._behind_since.setdefault(part, self._clock())
        if self._clock() - since < _MENDING_S:
            return position
        log.error("the journal lost its tail after it was loaded; reading on at its end",
                  partition=part, loaded=position, end=end)  # fmt: skip
        return end

    # Loading --------------------------------------------------------------------------------

    def _load(self, ready: _Next[Chunk]) -> Loaded:
        placed = ready.placed
        if ready.chunk is not None:
            try:
                return self._commit(
                    ready.chunk, placed, lambda: self._read_ahead(placed.part, placed.following)
                )
            except (WarehouseUnavailable, WarehouseInvalid):
                raise
            except WarehouseError as error:
                log.warning("a chunk was refused; loading it in parts",
                            events=len(placed.records), cause=logs.behind(error))  # fmt: skip
                self._drop_ahead()
        return self._load_in_parts(placed)

    def _commit(
        self, chunk: Chunk, placed: _Placed, before_commit: Callable[[], None] = lambda: None
    ) -> Loaded:
        loaded = self._warehouse.load(chunk, placed.part, placed.following, before_commit)
        self._passed(placed)
        return loaded

    def _passed(self, placed: _Placed) -> None:
        self._positions[placed.part] = placed.following
        self._journal.commit(CONSUMER, EVENTS, placed.part, placed.following)

    def _load_in_parts(self, placed: _Placed) -> Loaded:
        """Load what was refused as a whole: both halves, and so on down to single events."""
        count = len(placed.records)
        if count == 1:
            return self._load_alone(placed)
        events = filtered = tables = discards = 0
        for half in (placed.cut(0, count // 2), placed.cut(count // 2, count)):
            try:
                loaded = self._commit(self._warehouse.prepare(half.records), half)
            except (WarehouseUnavailable, WarehouseInvalid):
                raise
            except WarehouseError:
                loaded = self._load_in_parts(half)
            events += loaded.events
            filtered += loaded.filtered
            tables = max(tables, loaded.tables)
            discards += loaded.discards
        return Loaded(events, filtered, tables, discards)

    def _load_alone(self, placed: _Placed) -> Loaded:
        (record,) = placed.records
        try:
            return self._commit(self._warehouse.prepare([record]), placed)
        except (WarehouseUnavailable, WarehouseInvalid):
            raise
        except WarehouseError as error:
            log.error("an event can't be loaded and goes to discards", source=record.source,
                      partition=placed.part, position=placed.ends[0] - 1,
                      cause=logs.behind(error))  # fmt: skip
            self._warehouse.set_aside(record, placed.part, placed.following, str(error))
            self._passed(placed)
            return Loaded(1, 0, 1, 1)


def _placed(part: int, reading: Reading, position: int) -> _Placed:
    records: list[Record] = []
    ends: list[int] = []
    for block in reading.blocks:
        skipped = max(position - block.first, 0)
        try:
            records += _decode(block.body)[skipped:]
        except msgspec.MsgspecError as error:
            log.error("events can't be decoded", first=block.first, end=block.end, error=error)
            continue
        ends += range(block.first + skipped + 1, block.end + 1)
    return _Placed(part, records, ends, reading.next)
