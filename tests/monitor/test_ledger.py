"""The loss ledger over real parts: it balances, and it names the stage that loses an event."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.events.model import Record, RejectedRecord, Source
from penstock.ingest.accept import Acceptance, Acceptor, BadRequest, Request
from penstock.ingest.committer import GroupCommitter
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.ledger import Hole, Ledger, LedgerRow, ledger_holes, ledger_rows
from penstock.process import worker as worker_module
from penstock.process.dedupe import DedupeIndex, Keyed
from penstock.process.worker import ProcessWorker, decode_records
from penstock.warehouses import duckdb as duckdb_module
from penstock.warehouses import staging
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.duckdb_writer import SchemaWriter
from penstock.warehouses.loader import Loader
from penstock.warehouses.staging import SourceStage

HOUR_US = 3_600_000_000
START = 490_833 * HOUR_US
decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


class Installation:
    """Collector, process, warehouse and ledger on one folder, a step at a time."""

    def __init__(self, data: Path) -> None:
        self.now_us = START
        self.journal = SqliteJournal(data / "journal", clock=lambda: self.now_us)
        self.index = DedupeIndex(data / "dedupe", timedelta(hours=24))
        self.worker = ProcessWorker(self.journal, self.index, clock=lambda: self.now_us)
        self.warehouse = DuckDbWarehouse(data / "w.duckdb", clock=lambda: self.now_us)
        self.loader = Loader(self.journal, self.warehouse, chunk=1_000)
        self.connection = sqlite3.connect(data / "monitor.sqlite", isolation_level=None)
        self.ledger = Ledger(self.connection)
        self.reached: dict[tuple[str, int], int] = {}
        self.acceptor = Acceptor(
            {"kw": Source("web", "Web"), "ks": Source("shop", "Shop")}.get,
            max_event_bytes=10_000,
            max_batch_items=100,
            clock=lambda: self.now_us,
        )

    def send(self, *ids: str, key: str = "kw", name: str = "A", bad: int = 0, **more: Any) -> None:
        """One batch through acceptor and committer; ``bad`` events have no name."""
        events = [{"type": "track", "event": name, "messageId": i, "userId": "u"} for i in ids]
        events = [{**event, **more} for event in events]
        events += [{"type": "track", "messageId": "x", "userId": "u"}] * bad
        body = json.dumps({"batch": events}).encode()
        acceptance = self.acceptor.accept(Request("/v1/batch", "batch", body, key, None))
        self.commit(acceptance)

    def send_nonsense(self) -> None:
        """A body that can't be read."""
        request = Request("/v1/batch", "batch", b"{", "kw", None)
        with pytest.raises(BadRequest) as caught:
            self.acceptor.accept(request)
        record = self.acceptor.rejected(request, caught.value)
        self.commit(Acceptance(record.received_us, record.source, refused=1, rejected=[record]))

    def commit(self, *acceptances: Acceptance) -> None:
        async def run() -> None:
            received = self.journal.writer(RECEIVED, 0)
            rejected = self.journal.writer(REJECTED, 0)
            committer = GroupCommitter(received, rejected, queue_bytes=1 << 20)
            try:
                for acceptance in acceptances:
                    await committer.commit(acceptance, 1)
            finally:
                committer.close()

        asyncio.run(run())

    def process(self) -> None:
        while self.worker.step():
            pass

    def load(self) -> None:
        while self.loader.step() is not None:
            pass

    def observe(self) -> None:
        """As the monitor does: events, then counts, then rejected; then the warehouse."""
        for block in self._news(EVENTS):
            self.ledger.observe(0, block, decode_records(block.body))
        for block in self._news(COUNTS):
            self.ledger.observe_counts(block)
        for block in self._news(REJECTED):
            self.ledger.observe_rejected(block, decode_rejected(block.body))
        self.connection.execute("BEGIN")
        self.ledger.flush(caught_up=True)
        self.connection.execute("COMMIT")

    def confirm(self) -> bool:
        self.connection.execute("BEGIN")
        confirmed = self.ledger.confirm(self.ask)
        self.connection.execute("COMMIT")
        return confirmed

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in self.warehouse.query(sql).to_pylist()]

    def _news(self, topic: str) -> Iterator[Any]:
        for part in self.journal.partitions(topic):
            reading = self.journal.read(topic, part, self.reached.get((topic, part), 0), 1 << 20)
            self.reached[topic, part] = reading.next
            yield from reading.blocks

    def rows(self) -> list[LedgerRow]:
        """All of it, after everything ran."""
        self.process()
        self.load()
        self.observe()
        assert self.confirm()
        return ledger_rows(self.connection)

    def missing(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.rows():
            for stage, n in row.missing.items():
                found[stage] = found.get(stage, 0) + n
        return found

    def close(self) -> None:
        self.loader.close()
        self.warehouse.close()
        self.worker.close()
        self.index.close()
        self.journal.close()
        self.connection.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    here = Installation(tmp_path)
    yield here
    here.close()


def test_everything_is_accounted_for(here: Installation) -> None:
    here.send("a", "b", "c", bad=2)
    here.process()
    here.send("b", "d")
    here.send("b", "d")  # in one chunk with the one before
    here.send("s1", key="ks")
    here.send("s2", key="ks", integrations={"Warehouses": False})
    here.send_nonsense()
    here.process()
    here.send("a", "a")  # a chunk of which nothing is new
    here.now_us += HOUR_US
    here.send("e")
    found = {(row.source, row.hour.timestamp() // 3600 - 490_833): row for row in here.rows()}
    assert not any(row.missing for row in found.values())
    web = found["web", 0]
    assert (web.accepted, web.read, web.duplicate, web.stored) == (9, 9, 5, 4)
    assert (web.loaded, web.filtered, web.discarded, web.waiting) == (4, 0, 0, 0)
    assert (web.refused, web.rejected) == (3, 3)
    shop = found["shop", 0]
    assert (shop.stored, shop.loaded, shop.filtered) == (2, 1, 1)
    assert found["web", 1].loaded == 1
    assert ledger_holes(here.connection) == []


def test_it_balances_at_any_moment(here: Installation) -> None:
    """Whatever each stage is at, only what the next one has taken in is compared."""
    steps: list[Callable[[], object]] = [here.worker.step, here.loader.step, here.observe]
    for n in range(60):
        here.send(*(f"{n}-{i}" for i in range(n % 5 + 1)), f"{n // 2}-0")
        steps[n * 7 % 3]()
        if n % 4 == 0:
            here.confirm()
        assert not [row.missing for row in ledger_rows(here.connection) if row.missing]
    assert here.missing() == {}
    assert sum(row.loaded for row in ledger_rows(here.connection)) == sum(
        n % 5 + 1 for n in range(60)
    )


def test_a_restart_of_the_ledger_changes_nothing(here: Installation) -> None:
    here.send("a", "b")
    here.process()
    here.observe()
    here.ledger = Ledger(here.connection)
    here.send("c")
    assert here.missing() == {}
    assert [row.stored for row in ledger_rows(here.connection)] == [3]
    assert ledger_holes(here.connection) == []


# Each stage loses one event --------------------------------------------------------------------


def test_the_acceptor_loses_one(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = here.acceptor.accept

    def losing(request: Request) -> Acceptance:
        acceptance = accept(request)
        acceptance.records.pop(1)
        return acceptance

    monkeypatch.setattr(here.acceptor, "accept", losing)
    here.send("a", "b", "c")
    assert here.missing() == {"collector": 1}


def test_the_committer_loses_a_whole_request(here: Installation) -> None:
    """Nothing is written with it that could tell; the next block tells."""

    async def run() -> None:
        received = here.journal.writer(RECEIVED, 0)
        committer = GroupCommitter(received, here.journal.writer(REJECTED, 0), queue_bytes=1 << 20)
        lost = Acceptance(START, "web", promised=1)
        await committer.commit(lost, 1)
        kept = Record(
            "web",
            "k",
            START,
            b'{"type":"track","event":"A","messageId":"k",'
            b'"receivedAt":"2025-12-29T09:00:00Z","timestamp":"2025-12-29T09:00:00Z"}',
        )
        await committer.commit(Acceptance(START, "web", promised=1, records=[kept]), 1)
        committer.close()

    asyncio.run(run())
    assert here.missing() == {"collector": 1}


def test_a_refused_event_is_lost(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = here.acceptor.accept

    def losing(request: Request) -> Acceptance:
        acceptance = accept(request)
        acceptance.rejected.pop()
        return acceptance

    monkeypatch.setattr(here.acceptor, "accept", losing)
    here.send("a", bad=2)
    assert here.missing() == {"collector": 1}


def test_process_loses_one(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = DedupeIndex.fresh

    def losing(index: DedupeIndex, records: list[Record]) -> Keyed:
        found = fresh(index, records)
        return Keyed(found.records[1:], found.keys[1:], found.duplicates)

    monkeypatch.setattr(DedupeIndex, "fresh", losing)
    here.send("a", "b", "c")
    assert here.missing() == {"process": 1}


def test_process_passes_a_range_without_a_word(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.send("a")
    here.process()
    with monkeypatch.context() as patched:
        patched.setattr(ProcessWorker, "_process", lambda *_: None)
        here.send("b", "c")
        here.process()
    here.send("d")
    assert here.missing() == {}
    (hole,) = ledger_holes(here.connection)
    assert (hole.partition, hole.first, hole.end) == (0, 1, 3)


def test_process_writes_one_twice(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        worker_module,
        "_encode",
        lambda records: msgspec.msgpack.encode([*records, records[0]]),
    )
    here.send("a", "b")
    assert here.missing()["process"] == -1


def test_staging_loses_one(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    add = SourceStage.add

    def losing(stage: SourceStage, sequence: int, event: Any) -> None:
        if event.message_id != "b":
            add(stage, sequence, event)

    monkeypatch.setattr(SourceStage, "add", losing)
    here.send("a", "b", "c")
    assert here.missing() == {"warehouse": 1}


def test_the_insert_loses_one(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    append = SchemaWriter.append
    monkeypatch.setattr(
        SchemaWriter, "append", lambda writer, table, rows: append(writer, table, rows.slice(1))
    )
    here.send("a", "b", "c")
    assert here.missing() == {"warehouse": 1}


def test_the_warehouse_goes_on_without_a_chunk(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(DuckDbWarehouse, "_load_source", lambda *_: (0, 0))
        here.send("a", "b")
        here.process()
        here.load()
    here.send("c")
    assert here.missing() == {"warehouse": 2}


def test_an_event_set_aside_is_not_lost(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = staging.decode_event

    def refusing(payload: bytes) -> Any:
        event = decode(payload)
        if event.message_id == "b":
            raise ValueError("not this one")
        return event

    monkeypatch.setattr(duckdb_module, "decode_event", refusing)
    here.send("a", "b", "c")
    (row,) = here.rows()
    assert row.missing == {}
    assert (row.loaded, row.discarded) == (2, 1)


# What was there before -------------------------------------------------------------------------


def test_blocks_from_before_the_ledger_count_as_they_are(here: Installation) -> None:
    here.send("a", "b", "a")
    here.process()
    for block in here.journal.read(EVENTS, 0, 0, 100).blocks:
        meta = msgspec.json.decode(block.meta)
        del meta["counts"]
        old = type(block)(
            block.first, block.count, block.created_us, msgspec.json.encode(meta), block.body
        )
        here.ledger.observe(0, old, decode_records(block.body))
    here.reached[EVENTS, 0] = here.journal.end(EVENTS, 0)
    assert here.missing() == {}
    (row,) = ledger_rows(here.connection)
    assert (row.accepted, row.stored, row.loaded) == (2, 2, 2)


def test_a_warehouse_from_before_the_ledger_counts_from_where_it_was(here: Installation) -> None:
    here.send("a", "b")
    here.process()
    here.load()
    run = here.warehouse.connection.execute
    run("DELETE FROM penstock.ledger")
    run("UPDATE penstock.progress SET counted_from = next")
    here.send("c")
    (row,) = here.rows()
    assert row.missing == {}
    assert (row.stored, row.confirmed, row.loaded) == (3, 1, 1)


def test_a_warehouse_that_is_away_for_long(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.monitor.ledger._MOST_UNCONFIRMED", 20)
    monkeypatch.setattr("penstock.monitor.ledger._KEPT_APART", 5)
    for n in range(60):
        here.send(f"m{n}")
        here.process()
        here.observe()
    (kept,) = here.connection.execute("SELECT count(*) FROM ledger_unconfirmed").fetchone()
    assert kept <= 21
    assert here.missing() == {}
    assert sum(row.loaded for row in ledger_rows(here.connection)) == 60


def test_a_hole_stays_told_while_there_is_more_to_read(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.send("a")
    here.process()
    with monkeypatch.context() as patched:
        patched.setattr(ProcessWorker, "_process", lambda *_: None)
        here.send("b")
        here.process()
    here.send("c")
    here.process()
    here.observe()
    assert ledger_holes(here.connection) == [Hole(0, 1, 2)]
    here.ledger.flush(caught_up=False)
    assert ledger_holes(here.connection) == [Hole(0, 1, 2)]
