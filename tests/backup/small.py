"""A data folder filled step by step in this process, with times as a test wants them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from penstock.backup.save import Saved, save
from penstock.events.counts import counted, encode_counts
from penstock.events.model import Record, Source
from penstock.journal.contract import RECEIVED, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.process.dedupe import DedupeIndex
from penstock.process.worker import ProcessWorker
from penstock.settings import Settings
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.loader import Loader
from penstock.workspace.store import Workspace

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=seconds)


def _us(seconds: float) -> int:
    return round(at(seconds).timestamp() * 1_000_000)


def record(message_id: str, seconds: float) -> Record:
    """A track call of source ``web``, received at a moment."""
    when = at(seconds).isoformat()
    event = {
        "type": "track", "messageId": message_id, "userId": "u1", "event": "Toast Buttered",
        "properties": {"slices": 2}, "timestamp": when, "receivedAt": when,
    }  # fmt: skip
    return Record("web", message_id, _us(seconds), json.dumps(event).encode())


class Small:
    """A Penstock without servers: it does what it is told, when it is told."""

    def __init__(self, data: Path, *, segment_bytes: int = 1 << 30) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(data=data)
        self.now = 0.0
        """Seconds since the story began."""
        self._segment_bytes = segment_bytes

    def journal(self) -> SqliteJournal:
        """The journal; close it."""
        return SqliteJournal(
            self.settings.journal_folder,
            segment_bytes=self._segment_bytes,
            clock=lambda: _us(self.now),
        )

    def state(self) -> None:
        """A workspace with one source."""
        workspace = Workspace(self.settings.state_file)
        workspace.put_sources([Source("web", "Web", write_keys=("key",))])
        workspace.close()

    def receive(self, *records: Record, partition: int = 0) -> None:
        """What a collector does with one request."""
        self.now = max(self.now, *(each.received_us / 1e6 - _us(0) / 1e6 for each in records))
        journal = self.journal()
        writer = journal.writer(RECEIVED, partition)
        body = msgspec.msgpack.encode(list(records))
        writer.append([NewBlock(body, len(records), encode_counts(counted(records)))])
        writer.close()
        journal.close()

    def process(self) -> None:
        """What the process role does until nothing is left."""
        journal = self.journal()
        index = DedupeIndex(self.settings.data / "dedupe", self.settings.dedupe_window)
        worker = ProcessWorker(journal, index, clock=lambda: _us(self.now))
        while worker.step():
            pass
        worker.close()
        index.close()
        journal.close()

    def load(self) -> None:
        """What the warehouse role does until nothing is left."""
        journal = self.journal()
        warehouse = DuckDbWarehouse(self.settings.warehouse_file, threads=1)
        loader = Loader(journal, warehouse, chunk=100)
        while loader.step() is not None:
            pass
        loader.close()
        warehouse.close()
        journal.close()

    def catch_up(self) -> None:
        """Process and load."""
        self.process()
        self.load()

    def backup(self, target: Path | str) -> Saved:
        """A backup; it takes a second of the story."""
        moments = iter([at(self.now), at(self.now + 1)])
        self.now += 1
        return save(self.settings, str(target), now=lambda: next(moments), say=lambda _: None)

    def ids(self) -> list[str]:
        """The events in the warehouse, in the order of their names."""
        warehouse = DuckDbWarehouse(self.settings.warehouse_file, threads=1)
        try:
            return [str(row) for row in warehouse.query("select id from web.tracks order by id")
                    .column(0).to_pylist()]  # fmt: skip
        finally:
            warehouse.close()
