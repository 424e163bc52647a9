"""Reads ``received``, drops duplicates, writes ``events``."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from penstock.errors import JournalDamaged, JournalError
from penstock.events.counts import Counts, counted, decode_counts
from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED, Block, Journal, NewBlock
from penstock.process.dedupe import DedupeIndex, Keyed, keyed
from penstock.process.meta import EventsMeta, RangeCount, decode_events_meta
from penstock.process.screening import Screen, Screened

__all__ = ["CONSUMER", "ProcessWorker", "decode_records"]

log = logging.getLogger("penstock.process")
CONSUMER = "process"
PARTITION = 0
"""Partition of ``events`` that the one process worker writes."""
REJECTED_PARTITION = 10_000
"""Partition of ``rejected`` that the process worker writes; collectors use those from 0."""
_CHUNK = 4_000
_MEND_AGAIN_S = 5.0
_NEVER_US = -(1 << 62)
decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_encode = msgspec.msgpack.Encoder().encode


def _now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class _Partition:
    position: int
    told: int = -1
    """Position last committed to the journal."""
    received_us: int = _NEVER_US
    """Receipt of the event before ``position``."""
    mend_after: float = 0.0
    """Monotonic time before which damage is not looked at again."""


class ProcessWorker:
    """The one writer of ``events`` on this machine.

    A step, in this order, so that a crash between any two repeats nothing and loses nothing:

    1. read a range of ``received``
    2. drop what the index has seen, let functions screen the rest, and append what they refuse to
       ``rejected``; after a crash before 3 that may be there twice
    3. append to ``events``, with the range's end as the producer's sequence; or, when nothing is
       left of the range, to ``counts``, for the loss ledger
    4. add the keys to the index, with the position in ``events`` that they reach
    5. tell the journal the position in ``received``, for retention and ``penstock status``

    After a crash between 3 and 4 the index is behind ``events``; ``__init__`` adds the missing
    keys from the blocks. After one between 2 and 3 the range is read again.
    """

    def __init__(
        self,
        journal: Journal,
        index: DedupeIndex,
        clock: Callable[[], int] = _now_us,
        *,
        screen: Screen = lambda _: None,
    ) -> None:
        """``screen``: the functions on sources."""
        self._screen = screen
        self._journal = journal
        self._index = index
        self._clock = clock
        self._partitions: dict[int, _Partition] = {}
        self.duplicates = 0
        self.processed = 0
        with ExitStack() as opened:
            self._writer = journal.writer(EVENTS, PARTITION)
            opened.callback(self._writer.close)
            self._counts_writer = journal.writer(COUNTS, PARTITION)
            opened.callback(self._counts_writer.close)
            self._newest_us = self._newest()
            self._catch_up()
            opened.pop_all()

    def _newest(self) -> int:
        """The latest receipt of anything in ``events``."""
        end = self._journal.end(EVENTS, PARTITION)
        block = self._events_block(end - 1) if end else None
        return block.newest_us if block else 0

    def _events_block(self, position: int) -> EventsMeta | None:
        """What the block at or after a position says of itself."""
        blocks = self._journal.read(EVENTS, PARTITION, position, 1).blocks
        return decode_events_meta(blocks[0].meta) if blocks else None

    def _catch_up(self) -> None:
        """Add to the index what ``events`` holds and the index lacks."""
        position = self._index.position()
        end = self._journal.end(EVENTS, PARTITION)
        if position > end:
            self._reject(EVENTS, PARTITION, end, position, "lost by damage")
            self._index.add(keyed([]), end)
            return
        if position == 0:
            position = self._needed_from(end)
        while True:
            reading = self._journal.read(EVENTS, PARTITION, position, 50_000)
            for gap in reading.gaps:
                log.error("events %d..%d can't be read (%s)", gap.first, gap.end, gap.reason)
            if reading.next == position:
                return
            records = [record for block in reading.blocks for record in decode_records(block.body)]
            self._index.add(keyed(records), reading.next)
            position = reading.next

    def _needed_from(self, end: int) -> int:
        """Where in ``events`` an empty index begins: what is older can't meet what comes."""
        oldest_us = self._idle_since()
        low, high = self._journal.start(EVENTS, PARTITION), end
        for number in self._journal.partitions(RECEIVED):
            try:
                blocks = self._journal.read(RECEIVED, number, self._start(number), 1).blocks
                records = decode_records(blocks[0].body) if blocks else []
            except (JournalDamaged, msgspec.MsgspecError):
                return low  # who knows what comes: all of it
            oldest_us = min([oldest_us, *(record.received_us for record in records)])
        while low < high:  # newest_us never falls from one block to the next
            middle = (low + high) // 2
            block = self._events_block(middle)
            if block is None or block.newest_us >= oldest_us - self._index.window_us:
                high = middle
            else:
                low = middle + 1
        return low

    def step(self) -> int:
        """Process what is waiting, at most one chunk a partition; returns the events read."""
        read = 0
        oldest_us = self._newest_us
        for number in self._journal.partitions(RECEIVED):
            partition = self._partitions.get(number)
            if partition is None:
                partition = self._partitions[number] = _Partition(self._start(number))
                self._check_end(number, partition.position)
            found = self._advance(number, partition)
            read += found
            idle_since = self._idle_since() if not found else _NEVER_US
            oldest_us = min(oldest_us, max(partition.received_us, idle_since))
        self._index.forget(oldest_us)
        self.commit()
        return read

    def _idle_since(self) -> int:
        """A partition without news brings none received before this.

        It leaves a quarter of a window for clocks that are set back.
        """
        return min(self._clock(), self._newest_us) - self._index.bucket_us

    def _start(self, number: int) -> int:
        written = [
            writer.last_sequence(_producer(number)) or 0
            for writer in (self._writer, self._counts_writer)
        ]
        return max(self._journal.position(CONSUMER, RECEIVED, number), *written)

    def _check_end(self, number: int, position: int) -> None:
        """Tell when ``received`` lost events that were processed before; nothing is missing."""
        try:
            end = self._journal.end(RECEIVED, number)
        except JournalDamaged:
            return  # reading says more
        if end < position:
            log.error("received/%d ends at %d; %d was processed", number, end, position)

    def _advance(self, number: int, partition: _Partition) -> int:
        if time.monotonic() < partition.mend_after:
            return 0
        try:
            reading = self._journal.read(RECEIVED, number, partition.position, _CHUNK)
        except JournalDamaged as damage:
            partition.mend_after = time.monotonic() + _MEND_AGAIN_S
            self._mend(number, damage)
            return 0
        for gap in reading.gaps:
            self._reject(RECEIVED, number, gap.first, gap.end, gap.reason)
        records: list[Record] = []
        promised: Counts = Counter()
        for block in reading.blocks:
            decoded = self._decoded(number, block)
            records += decoded[max(partition.position - block.first, 0) :]
            promised += _promised(block, decoded)
        if records:
            self._process(number, partition, records, promised, reading.next)
        partition.position = reading.next
        return len(records)

    def _mend(self, number: int, damage: JournalDamaged) -> None:
        """Opening a partition mends it; a collector that writes it does so on its next start."""
        try:
            self._journal.writer(RECEIVED, number).close()
        except JournalError as error:
            log.error("%s; can't be mended yet: %s", damage, error)

    def _decoded(self, number: int, block: Block) -> list[Record]:
        try:
            return decode_records(block.body)
        except msgspec.MsgspecError as error:
            reason = f"not records: {error}"
            self._reject(RECEIVED, number, block.first, block.end, reason, block.body)
            return []

    def _process(
        self, number: int, partition: _Partition, records: list[Record], promised: Counts, end: int
    ) -> None:
        fresh = self._index.fresh(records)
        screened = self._screen(fresh.records) or Screened(fresh.records, [], Counter(), Counter())
        newest_us = max([self._newest_us, *(record.received_us for record in fresh.records)])
        meta = EventsMeta(
            number,
            partition.position,
            end,
            len(fresh.duplicates),
            newest_us,
            _range_counts(promised, counted(records), counted(fresh.duplicates), screened),
        )
        if screened.rejected:
            self._refuse(number, end, screened.rejected)
        if screened.records:
            self._write(fresh, screened.records, meta)
        else:
            self._counts_writer.append([_block(b"\x90", 1, meta)])
            if fresh.records:
                self._index.add(fresh, self._index.position())
        self.duplicates += len(fresh.duplicates)
        self.processed += len(records)
        partition.received_us = records[-1].received_us

    def _write(self, fresh: Keyed, records: list[Record], meta: EventsMeta) -> None:
        """Write the events that stand for the fresh ones; the index remembers those."""
        (first,) = self._writer.append([_block(_encode(records), len(records), meta)])
        if first is None:
            raise AssertionError(f"events holds received/{meta.partition} up to {meta.end}")
        self._newest_us = meta.newest_us
        self._index.add(fresh, first + len(records))

    def commit(self) -> None:
        """Tell the journal how far ``received`` is read, where that changed."""
        for number, partition in self._partitions.items():
            if partition.told != partition.position:
                self._journal.commit(CONSUMER, RECEIVED, number, partition.position)
                partition.told = partition.position

    def _reject(
        self, topic: str, number: int, first: int, end: int, reason: str, original: bytes = b""
    ) -> None:
        """A range that can't be read is one entry in ``rejected``, never skipped in silence."""
        text = f"{topic}/{number}: events {first} to {end - 1} can't be read: {reason}"
        log.error("%s", text)
        record = RejectedRecord("", self._clock(), "journal_damaged", text, "", original)
        producer = f"process/{topic}/{number}/{'block' if original else 'gap'}"
        self._append_rejected(NewBlock(_encode([record]), 1, b"", producer, end))

    def _refuse(self, number: int, end: int, records: list[RejectedRecord]) -> None:
        """What functions did not let pass, of a range that ends there."""
        producer = f"process/functions/{number}"
        self._append_rejected(NewBlock(_encode(records), len(records), b"", producer, end))

    def _append_rejected(self, block: NewBlock) -> None:
        writer = self._journal.writer(REJECTED, REJECTED_PARTITION)
        try:
            writer.append([block])
        finally:
            writer.close()

    def close(self) -> None:
        """Release the writer; the index is the caller's."""
        self.commit()
        self._writer.close()
        self._counts_writer.close()


def _block(body: bytes, count: int, meta: EventsMeta) -> NewBlock:
    return NewBlock(body, count, msgspec.json.encode(meta), _producer(meta.partition), meta.end)


def _promised(block: Block, records: list[Record]) -> Counts:
    """What the collector promised with a block; one that does not say promised what it holds."""
    try:
        promised = decode_counts(block.meta)
    except msgspec.MsgspecError as error:
        log.error("the counts of events %d to %d can't be read: %s", block.first, block.end, error)
        promised = None
    return counted(records) if promised is None else promised


def _range_counts(
    accepted: Counts, read: Counts, duplicate: Counts, screened: Screened
) -> list[RangeCount]:
    return [
        RangeCount(
            *key, accepted[key], read[key], duplicate[key], screened.removed[key],
            screened.added[key],
        )
        for key in sorted({*accepted, *read})
    ]  # fmt: skip


def _producer(number: int) -> str:
    return f"process/{number}"
