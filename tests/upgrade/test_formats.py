"""A store of a newer format is refused and left as it is; one of an older comes forward."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from penstock.errors import FormatTooNew
from penstock.journal.contract import RECEIVED, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.process import dedupe
from penstock.process.dedupe import DedupeIndex
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.migrations import FORMAT_VERSION, STEPS, migrate
from tests.backup.small import Small, record
from tests.running import CommandFailedError, PenstockDiedError, RunningPenstock


def test_a_newer_warehouse_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    DuckDbWarehouse(file, threads=1).close()
    with duckdb.connect(str(file)) as connection:
        connection.execute("update penstock.about set format_version = 99")
    before = file.read_bytes()
    with pytest.raises(FormatTooNew, match=r"w\.duckdb was written by a newer Penstock"):
        DuckDbWarehouse(file, threads=1)
    assert file.read_bytes() == before


def test_a_newer_journal_is_refused_and_not_mended(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    writer = journal.writer(RECEIVED, 0)
    writer.append([NewBlock(b"x", 1)])
    writer.close()
    journal.close()
    (segment,) = (tmp_path / RECEIVED / "0").glob("*.sqlite")
    connection = sqlite3.connect(segment)
    connection.execute("update about set format_version = 2")
    connection.execute("alter table blocks rename to pages")
    connection.commit()
    connection.close()
    journal = SqliteJournal(tmp_path)
    with pytest.raises(FormatTooNew):
        journal.writer(RECEIVED, 0)
    with pytest.raises(FormatTooNew):
        journal.read(RECEIVED, 0, 0, 10)
    journal.close()
    assert [path.suffix for path in segment.parent.iterdir() if "damaged" in path.name] == []


def test_a_newer_dedupe_index_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window = timedelta(hours=1)
    with monkeypatch.context() as newer:
        newer.setattr(dedupe, "FORMAT_VERSION", 2)
        DedupeIndex(tmp_path / "dedupe", window).close()
    with pytest.raises(FormatTooNew, match="dedupe was written"):
        DedupeIndex(tmp_path / "dedupe", window)


def test_up_ends_and_says_why(tmp_path: Path) -> None:
    running = RunningPenstock(tmp_path)
    small = Small(running.data)
    small.receive(record("a", 1))
    small.catch_up()
    with duckdb.connect(str(small.settings.warehouse_file)) as connection:
        connection.execute("update penstock.about set format_version = 99")
    try:
        with pytest.raises(PenstockDiedError, match="upgrade Penstock"):
            running.start()
            running.await_end()
            raise PenstockDiedError(running.log_tail())
        with pytest.raises(CommandFailedError, match="upgrade Penstock"):
            running.sql("select 1")
    finally:
        running.close()


def test_steps_run_in_order_from_the_stored_format() -> None:
    connection = duckdb.connect(":memory:")
    connection.execute("create schema penstock")
    connection.execute("create table penstock.about as select 1 as format_version")
    steps = {
        1: ("create table a (i integer)", "insert into a values (1)"),
        2: ("update a set i = i * 10 + 2",),
    }
    migrate(connection, "w", steps)
    assert connection.execute("select i from a").fetchall() == [(12,)]
    assert connection.execute("select * from penstock.about").fetchall() == [(3,)]
    migrate(connection, "w", steps)
    assert connection.execute("select i from a").fetchall() == [(12,)]
    connection.close()


def test_a_step_that_fails_leaves_the_format_before_it() -> None:
    connection = duckdb.connect(":memory:")
    connection.execute("create schema penstock")
    connection.execute("create table penstock.about as select 1 as format_version")
    steps = {1: ("create table a (i integer)",), 2: ("create table b (i integer)", "nonsense")}
    with pytest.raises(duckdb.Error):
        migrate(connection, "w", steps)
    assert connection.execute("select * from penstock.about").fetchall() == [(2,)]
    tables = connection.execute("select table_name from duckdb_tables()").fetchall()
    assert sorted(tables) == [("a",), ("about",)]
    connection.close()


def test_there_is_a_step_for_every_format_before_the_present_one() -> None:
    assert sorted(STEPS) == list(range(1, FORMAT_VERSION))
