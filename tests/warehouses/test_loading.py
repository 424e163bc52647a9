"""Chunks, positions, odd events and repeated ones, through the loader and DuckDB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest

from penstock.errors import WarehouseError, WarehouseUnavailable
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.warehouses.compaction import is_due
from penstock.warehouses.contract import Loaded
from penstock.warehouses.duckdb import DuckDbWarehouse, Prepared
from penstock.warehouses.loader import CONSUMER, Loader

HOUR_US = 3_600_000_000


def record(number: int, event: str = "Toast Buttered", **fields: object) -> Record:
    content = {
        "type": "track", "messageId": f"m{number}", "userId": "u1", "event": event,
        "receivedAt": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z", **fields,
    }  # fmt: skip
    return Record("web", f"m{number}", number, json.dumps(content).encode())


def poison(number: int) -> Record:
    return Record("web", f"m{number}", number, b'{"type":"track"')


def ids(warehouse: DuckDbWarehouse, table: str = "tracks") -> list[str]:
    rows = warehouse.query(f"select id from web.{table} order by id")
    return [str(value) for value in rows.column(0).to_pylist()]


def load(warehouse: DuckDbWarehouse, events: list[Record], following: int) -> None:
    warehouse.load(warehouse.prepare(events), 0, following)


class Setup:
    """A journal with events and a loader on a warehouse file."""

    def __init__(self, folder: Path, chunk: int = 100) -> None:
        self.journal = SqliteJournal(folder / "journal")
        self.warehouse = DuckDbWarehouse(folder / "w.duckdb", threads=1)
        self.loader = Loader(self.journal, self.warehouse, chunk=chunk)

    def write(self, *blocks: list[Record]) -> None:
        writer = self.journal.writer(EVENTS, 0)
        encode = msgspec.msgpack.encode
        writer.append([NewBlock(encode(block), len(block)) for block in blocks])
        writer.close()

    def load_all(self, attempts: int = 50) -> int:
        """Step until there is nothing left; returns how many steps failed."""
        failures = 0
        for _ in range(attempts):
            try:
                if self.loader.step() is None:
                    return failures
            except WarehouseError:
                failures += 1
        raise AssertionError("still loading")

    def close(self) -> None:
        self.loader.close()
        self.warehouse.close()
        self.journal.close()


def test_chunks_follow_positions_and_the_journal_is_told(tmp_path: Path) -> None:
    setup = Setup(tmp_path, chunk=3)
    setup.write([record(n) for n in range(4)], [record(n) for n in range(4, 9)])
    setup.load_all()
    assert ids(setup.warehouse) == [f"m{n}" for n in range(9)]
    assert setup.warehouse.progress()[0].next == 9
    assert setup.journal.position(CONSUMER, EVENTS, 0) == 9
    setup.close()


def test_a_new_loader_goes_on_where_the_rows_are(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    setup.write([record(n) for n in range(5)])
    setup.load_all()
    setup.close()
    again = Setup(tmp_path)
    again.journal.commit(CONSUMER, EVENTS, 0, 0)  # what the journal thinks does not matter
    again.write([record(5)])
    again.load_all()
    assert ids(again.warehouse) == [f"m{n}" for n in range(6)]
    again.close()


def test_an_event_that_cant_be_loaded_is_set_aside_and_stops_nobody(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    block = [record(n) for n in range(20)]
    block[7] = poison(7)
    block[13] = poison(13)
    setup.write(block, [record(20)])
    setup.load_all()
    assert ids(setup.warehouse) == sorted(f"m{n}" for n in range(21) if n not in (7, 13))
    aside = setup.warehouse.query("select * from web.discards order by row_id").to_pylist()
    assert [row["row_id"] for row in aside] == ["m13", "m7"]
    assert aside[0]["column_value"] == '{"type":"track"'
    assert all(row["reason"].startswith("unloadable: ") for row in aside)
    progress = setup.warehouse.progress()[0]
    assert (progress.next, progress.loaded) == (21, 21)
    setup.close()


def test_what_a_gap_hides_and_what_is_refused_are_told_apart(tmp_path: Path) -> None:
    """Positions after a refusal count by events and not by how many were read."""
    setup = Setup(tmp_path)
    setup.write([record(n) for n in range(10)])
    setup.journal.commit("other", EVENTS, 0, 20)  # as if events up to 20 had been lost
    block = [record(n) for n in range(20, 30)]
    block[4] = poison(24)
    setup.write(block)
    setup.load_all()
    expected = {f"m{n}" for n in [*range(10), *range(20, 30)]} - {"m24"}
    assert set(ids(setup.warehouse)) == expected
    assert setup.warehouse.progress()[0].next == 30
    setup.close()


def test_a_commit_that_the_disk_does_not_take_sets_nothing_aside(tmp_path: Path) -> None:
    """Writes beyond a file size fail as on a full disk."""
    code = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from penstock.errors import WarehouseUnavailable
from tests.warehouses.test_loading import Setup, ids, record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
setup = Setup(Path({str(tmp_path)!r}))
setup.write([record(0)])
setup.load_all()
setup.write([record(n, "New", properties={{"text": str(n) * 2000}}) for n in range(1, 400)])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
failed = 0
for _ in range(5):
    try:
        setup.loader.step()
    except WarehouseUnavailable:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert failed == 5, failed
setup.load_all()
assert len(ids(setup.warehouse)) == 400
assert len(ids(setup.warehouse, "new")) == 399
tables = setup.warehouse.query("select table_name from information_schema.tables").to_pylist()
assert "discards" not in [row["table_name"] for row in tables]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_write_that_fails_half_way_is_undone(tmp_path: Path) -> None:
    """A user's view in the way of a table makes the engine refuse after it began."""
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb", threads=1)
    load(warehouse, [record(0, "First")], 1)
    warehouse.connection.execute("create view web.second as select 1 as x")
    with pytest.raises(WarehouseError):
        load(warehouse, [record(1, "First"), record(2, "Third"), record(3, "Second")], 4)
    assert ids(warehouse) == ["m0"]
    warehouse.connection.execute("drop view web.second")
    with pytest.raises(WarehouseError):  # it still counts on the view, and looks again
        load(warehouse, [record(3, "Second")], 2)
    load(warehouse, [record(1, "First"), record(2, "Third"), record(3, "Second")], 4)
    assert ids(warehouse) == ["m0", "m1", "m2", "m3"]
    warehouse.close()


def test_a_missing_disk_is_waited_for_and_sets_nothing_aside(tmp_path: Path) -> None:
    class FullDisk(DuckDbWarehouse):
        full = True

        def load(
            self,
            chunk: Prepared,
            part: int,
            following: int,
            before_commit: Callable[[], None] = lambda: None,
        ) -> Loaded:
            before_commit()
            if self.full:
                raise WarehouseUnavailable("no room")
            return super().load(chunk, part, following)

    journal = SqliteJournal(tmp_path / "journal")
    warehouse = FullDisk(tmp_path / "w.duckdb", threads=1)
    loader = Loader(journal, warehouse, chunk=10)
    writer = journal.writer(EVENTS, 0)
    writer.append([NewBlock(msgspec.msgpack.encode([record(0)]), 1)])
    writer.close()
    for _ in range(30):
        with pytest.raises(WarehouseUnavailable):
            loader.step()
    warehouse.full = False
    loader.step()
    assert ids(warehouse) == ["m0"]
    loader.close()
    warehouse.close()
    journal.close()


def test_rows_loaded_again_later_are_removed_by_compaction(tmp_path: Path) -> None:
    now = 1_770_000_000_000_000
    clock = iter(range(now, now + 100 * HOUR_US, HOUR_US))
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb", threads=1, clock=lambda: next(clock))
    first = [record(n, properties={"n": n, "rowid": 7}) for n in range(5)]
    again = [record(n, properties={"n": -n}) for n in (1, 3)]
    identify = record(9, type="identify", traits={"plan": "free"})
    load(warehouse, [*first, identify], 6)
    load(warehouse, [*again, identify], 9)
    assert len(ids(warehouse)) == 7
    assert warehouse.compact() == 5
    assert ids(warehouse) == [f"m{n}" for n in range(5)]
    kept = warehouse.query("select n from web.toast_buttered order by n").to_pylist()
    assert [row["n"] for row in kept] == [0, 1, 2, 3, 4]
    assert ids(warehouse, "identifies") == ["m9"]
    assert warehouse.compact() == 0
    warehouse.close()


def test_compaction_is_due_once_a_day(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(":memory:", threads=1, clock=lambda: 25 * HOUR_US)
    day = 24 * HOUR_US
    connection = warehouse.connection
    assert not is_due(connection, HOUR_US, day)
    assert not is_due(connection, day, day)
    assert is_due(connection, 25 * HOUR_US, day)
    warehouse.compact()
    assert not is_due(connection, 26 * HOUR_US, day)
    warehouse.close()


def test_chunks_grow_with_the_number_of_tables(tmp_path: Path) -> None:
    setup = Setup(tmp_path, chunk=10)
    setup.write([record(n, f"Event {n}") for n in range(250)])
    assert setup.loader.chunk_size() == 10
    setup.load_all()
    assert setup.loader.chunk_size() > 10
    setup.close()


def test_caps_of_the_contract(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(":memory:", threads=1)
    load(warehouse, [record(n, f"Event {n}", properties={"n": n}) for n in range(1_001)], 1_001)
    tables = warehouse.query(
        "select count(*) as n from information_schema.tables where table_schema = 'web'"
    ).to_pylist()[0]["n"]
    assert tables == 1_000 + 1  # and tracks
    over = warehouse.query("select id, _overflow from web.tracks where _overflow is not null")
    assert over.to_pylist() == [{"id": "m1000", "_overflow": '{"n":1000}'}]
    load(warehouse, [record(2_000, "One More", properties={"late": True})], 1_002)
    (late,) = warehouse.query("select * from web.tracks where id = 'm2000'").to_pylist()
    assert (late["event"], late["_overflow"]) == ("one_more", '{"late":true}')
    warehouse.close()


def test_the_1601st_column_goes_to_overflow() -> None:
    warehouse = DuckDbWarehouse(":memory:", threads=1)
    wide = {f"column {n:04d}": n for n in range(1_700)}
    load(warehouse, [record(0, "Wide", properties=wide)], 1)
    (columns,) = warehouse.query(
        "select count(*) as n from information_schema.columns where table_name = 'wide'"
    ).to_pylist()
    assert columns["n"] == 1_601  # with _overflow
    (row,) = warehouse.query("select _overflow from web.wide").to_pylist()
    spilled = json.loads(row["_overflow"])
    assert len(spilled) == 1_700 - (1_600 - 11)
    assert spilled["column_1699"] == 1_699
    warehouse.close()


def test_the_engine_reads_no_files(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb")
    with pytest.raises(duckdb.Error):
        warehouse.connection.execute("select * from read_csv('/etc/passwd')").fetchall()
    warehouse.close()
