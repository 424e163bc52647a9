"""The parts of an event's way, each alone, in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from penstock.bench.events import batch_body, records, templates
from penstock.bench.limits import rate
from penstock.events.counts import HOUR_US
from penstock.events.model import Record, Source
from penstock.ingest.accept import Acceptor, Request
from penstock.journal.contract import NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.store import MonitorStore
from penstock.monitor.worker import MonitorWorker
from penstock.process.dedupe import DedupeIndex, keyed
from penstock.process.meta import EventsMeta, RangeCount
from penstock.process.worker import ProcessWorker
from penstock.warehouses.duckdb import DuckDbWarehouse

__all__ = [
    "accept_rate",
    "append_rate",
    "load_rate",
    "monitor_rate",
    "process_rate",
    "sample_block",
]

_encode = msgspec.msgpack.Encoder().encode
_BATCH = 100
_BLOCK = 2_000
_CHUNK = 40_000


def accept_rate(seconds: float) -> float:
    """Decode, check, stamp and encode, in batches of 100."""
    source = Source("bench", "Bench", "browser", write_keys=("k",))
    acceptor = Acceptor(lambda _: source, max_event_bytes=33 * 1024, max_batch_items=2500)
    cut = templates(60)
    bodies = [batch_body(cut, n * _BATCH, _BATCH, "m") for n in range(20)]

    def step() -> int:
        for body in bodies:
            acceptor.accept(Request("/v1/batch", "batch", body, "k", "203.0.113.9"))
        return len(bodies) * _BATCH

    return rate(step, seconds)


def sample_block() -> tuple[bytes, int]:
    """A block as the collector writes it, compressed, and its number of events."""
    import zstandard

    body = _encode(records(60, 0, _BLOCK))
    return zstandard.ZstdCompressor(level=1).compress(body), _BLOCK


def append_rate(folder: Path, seconds: float) -> float:
    """Encode, compress and append durably, in blocks of 2,000."""
    journal = SqliteJournal(folder / "append")
    writer = journal.writer("received", 0)
    block = records(60, 0, _BLOCK)

    def step() -> int:
        writer.append([NewBlock(_encode(block), _BLOCK)])
        return _BLOCK

    try:
        return rate(step, seconds)
    finally:
        writer.close()
        journal.close()


def process_rate(folder: Path, keys: int, events: int, say: Callable[[str], None]) -> float:
    """From ``received`` to ``events`` with an index that holds ``keys`` keys already."""
    journal = SqliteJournal(folder / "process")
    writer = journal.writer("received", 0)
    for start in range(0, events, _BLOCK):
        writer.append([NewBlock(_encode(records(60, start, _BLOCK)), _BLOCK)])
    writer.close()
    index = DedupeIndex(folder / "dedupe", timedelta(hours=24))
    _prefill(index, keys, say)
    worker = ProcessWorker(journal, index)
    began = time.perf_counter()
    done = 0
    while done < events:
        done += worker.step()
    spent = time.perf_counter() - began
    worker.close()
    index.close()
    journal.close()
    return events / spent


def _prefill(index: DedupeIndex, keys: int, say: Callable[[str], None]) -> None:
    """Put random keys into every bucket of the window, as a day of traffic would."""
    window_us = 86_400_000_000
    newest = 1_770_000_000_000_000
    step = 20_000
    for start in range(0, keys, step):
        count = min(step, keys - start)
        times = (newest - window_us + (start + n) * window_us // keys for n in range(count))
        made = [Record("fill", os.urandom(8).hex(), received, b"") for received in times]
        index.add(keyed(made), 0)
        if start % (step * 50) == 0:
            say(f"dedupe index: {start:,} of {keys:,} keys")


def load_rate(folder: Path, tables: int, chunks: int) -> float:
    """Load chunks into DuckDB on one thread; the first, which creates the tables, is not counted.

    Chunks are as large as the loader makes them for so many tables.
    """
    size = _CHUNK * min(1 + tables // 100, 4)
    file = folder / f"load-{tables}.duckdb"
    warehouse = DuckDbWarehouse(file, threads=1)
    made = [records(tables, n * size, size) for n in range(chunks + 1)]
    warehouse.load(warehouse.prepare(made[0]), 0, 1)
    began = time.perf_counter()
    for number, chunk in enumerate(made[1:]):
        warehouse.load(warehouse.prepare(chunk), 0, number + 2)
    spent = time.perf_counter() - began
    warehouse.close()
    file.unlink()
    return size * chunks / spent


def monitor_rate(folder: Path, events: int) -> float:
    """From ``events`` to volumes, schema catalogue and loss ledger, 60 names, 40,000 a round."""
    journal = SqliteJournal(folder / "monitor")
    writer = journal.writer("events", 0)
    for start in range(0, events, _BLOCK):
        made = records(60, start, _BLOCK)
        hour = made[0].received_us // HOUR_US
        counts = [RangeCount("bench", hour, _BLOCK, _BLOCK, 0)]
        meta = EventsMeta(0, start, start + _BLOCK, 0, made[-1].received_us, counts)
        writer.append([NewBlock(_encode(made), _BLOCK, msgspec.json.encode(meta))])
    writer.close()
    store = MonitorStore(folder / "monitor.sqlite")
    worker = MonitorWorker(journal, store, every=timedelta(0))
    began = time.perf_counter()
    done = 0
    while done < events:
        done += worker.step()
    spent = time.perf_counter() - began
    store.close()
    journal.close()
    return events / spent
