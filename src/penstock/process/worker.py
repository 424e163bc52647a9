"""Reads ``received``, drops duplicates, writes ``events``."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import msgspec

from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED, Block, Gap, Journal, NewBlock
from penstock.process.dedupe import DedupeIndex

__all__ = ["CONSUMER", "EventsMeta", "ProcessWorker", "decode_records"]

log = logging.getLogger("penstock.process")
CONSUMER = "process"
PARTITION = 0
"""Partition of ``events`` that the one process worker writes."""
REJECTED_PARTITION = 10_000
"""Partition of ``rejected`` that the process worker writes; collectors use those from 0."""
_CHUNK = 4_000
decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_encode = msgspec.msgpack.Encoder().encode


class EventsMeta(msgspec.Struct):
    """What an ``events`` block says about where it came from."""

    partition: int
    """Partition of ``received``."""
    first: int
    """Position of the first event read for this block."""
    end: int
    """Position after the last."""
    duplicates: int
    """Events of that range that had been seen before, since the previous block."""


@dataclass
class _Partition:
    position: int
    duplicates: int = 0
    """Duplicates not yet told of in a block."""


class ProcessWorker:
    """The one writer of ``events`` on this machine.

    A step, in this order, so that a crash between any two repeats nothing and loses nothing:

    1. read a range of ``received``
    2. drop what the index has seen
    3. append to ``events``, with the range's end as the producer's sequence
    4. add the keys to the index, with the position in ``events`` that they reach

    After a crash between 3 and 4 the index is behind ``events``; ``__init__`` adds the missing
    keys from the blocks. After one between 2 and 3 the range is read again.
    """

    def __init__(self, journal: Journal, index: DedupeIndex) -> None:
        self._journal = journal
        self._index = index
        self._writer = journal.writer(EVENTS, PARTITION)
        self._partitions: dict[int, _Partition] = {}
        self.duplicates = 0
        self.processed = 0
        self._catch_up()

    def _catch_up(self) -> None:
        """Add to the index what ``events`` holds and the index lacks."""
        position = self._index.position()
        while True:
            reading = self._journal.read(EVENTS, PARTITION, position, 50_000)
            for gap in reading.gaps:
                log.error("events %d..%d can't be read (%s)", gap.first, gap.end, gap.reason)
            if reading.next == position:
                return
            records = [record for block in reading.blocks for record in decode_records(block.body)]
            self._index.add(records, reading.next)
            position = reading.next

    def step(self) -> int:
        """Process what is waiting, at most one chunk a partition; returns the events read."""
        read = 0
        for number in self._journal.partitions(RECEIVED):
            partition = self._partitions.get(number)
            if partition is None:
                partition = self._partitions[number] = _Partition(self._start(number))
            reading = self._journal.read(RECEIVED, number, partition.position, _CHUNK)
            for gap in reading.gaps:
                self._report(number, gap)
            if reading.blocks:
                read += self._process(number, partition, reading.blocks)
            elif reading.next > partition.position:
                partition.position = reading.next
        return read

    def _start(self, number: int) -> int:
        written = self._writer.last_sequence(_producer(number))
        committed = self._journal.position(CONSUMER, RECEIVED, number)
        return max(committed, -1 if written is None else written)

    def _process(self, number: int, partition: _Partition, blocks: list[Block]) -> int:
        records: list[Record] = []
        for block in blocks:
            decoded = decode_records(block.body)
            records += decoded[max(partition.position - block.first, 0) :]
        end = blocks[-1].end
        fresh = self._index.fresh(records)
        partition.duplicates += len(records) - len(fresh)
        self.duplicates += len(records) - len(fresh)
        if fresh:
            meta = EventsMeta(number, partition.position, end, partition.duplicates)
            (first,) = self._writer.append(
                [
                    NewBlock(
                        _encode(fresh),
                        len(fresh),
                        msgspec.json.encode(meta),
                        _producer(number),
                        end,
                    )
                ]
            )
            if first is None:
                raise AssertionError(f"events already holds received/{number} up to {end}")
            partition.duplicates = 0
            self._index.add(fresh, first + len(fresh))
        partition.position = end
        self.processed += len(records)
        return len(records)

    def commit(self) -> None:
        """Tell the journal how far ``received`` is read, for retention; and duplicates alone."""
        for number, partition in self._partitions.items():
            self._journal.commit(CONSUMER, RECEIVED, number, partition.position)

    def _report(self, number: int, gap: Gap) -> None:
        """A range that can't be read is an entry in ``rejected``, never skipped in silence."""
        text = f"received/{number}: events {gap.first} to {gap.end - 1} can't be read: {gap.reason}"
        log.error("%s", text)
        record = RejectedRecord("", time.time_ns() // 1000, "journal_damaged", text, "", b"")
        writer = self._journal.writer(REJECTED, REJECTED_PARTITION)
        try:
            writer.append([NewBlock(_encode([record]), 1)])
        finally:
            writer.close()

    def close(self) -> None:
        """Release the writer; the index is the caller's."""
        self.commit()
        self._writer.close()


def _producer(number: int) -> str:
    return f"process/{number}"
