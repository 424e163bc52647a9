"""A backup of a Penstock that runs, under load."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.recovery.traffic import WORKSPACE, Traffic, assert_event_tables_agree, wait_until_loaded
from tests.running import RunningPenstock

REPORTS = (
    "select event_text, count(*) n, sum(n) total from shop.tracks t "
    "join (select id, n from shop.kind_0 union all select id, n from shop.kind_1) k using (id) "
    "group by 1 order by 1",
    "select user_id, count(*) n, min(received_at) a, max(received_at) b from shop.tracks "
    "group by 1 order by 1",
    "select count(*) n, count(distinct id) ids from shop.tracks",
)


@pytest.fixture
def penstock(tmp_path: Path) -> RunningPenstock:
    """Ended afterwards by the tests; small segments, so that many are closed."""
    running = RunningPenstock(tmp_path, settings={"PENSTOCK_SEGMENT_BYTES": "200000"})
    running.apply(WORKSPACE)
    return running


def loaded_ids(penstock: RunningPenstock) -> Counter[str]:
    text = penstock.command("sql", "select id from shop.tracks", "--format", "csv")
    return Counter(row[0] for row in list(csv.reader(io.StringIO(text)))[1:])


def test_everything_deleted_and_restored(penstock: RunningPenstock, tmp_path: Path) -> None:
    """Done 3: reports equal, nothing acknowledged before the backup missing, nothing twice."""
    target = tmp_path / "target"
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=4, seed=1)
        traffic.start()
        await_segments(penstock, 3)
        penstock.command("backup", str(target))
        await_segments(penstock, 2)
        await_acknowledged(traffic, 1_001)
        before = {key for client in traffic._clients for key in list(client.promises.acknowledged)}
        made = json.loads(penstock.command("backup", str(target), "--json"))
        assert 0 < made["copied_files"] < made["files"], "closed segments are copied once"
        promises = traffic.stop()
        assert len(before) > 1000
        wait_until_loaded(penstock)
        penstock.stop()
        shutil.move(penstock.data, tmp_path / "gone")

        done = json.loads(penstock.command("restore", str(target), "--json"))
        assert done["waiting"] + done["unprocessed"] > 0, "the journal had more than the warehouse"
        penstock.start()
        wait_until_loaded(penstock)
        rows = loaded_ids(penstock)
        missing = before - rows.keys()
        assert not missing, f"{len(missing)} of {len(before)} are missing"
        assert max(rows.values()) == 1, "an event was loaded twice"
        assert rows.keys() <= promises.acknowledged | promises.doubtful
        assert_event_tables_agree(penstock)
        assert_reports_equal(penstock, tmp_path / "gone", set(rows))

        later = Traffic(penstock.port, clients=2, seed=2)
        later.start()
        await_acknowledged(later, 100)
        new = later.stop()
        wait_until_loaded(penstock)
        assert new.acknowledged <= loaded_ids(penstock).keys()
        penstock.stop()
    finally:
        penstock.close()


def await_segments(penstock: RunningPenstock, more: int) -> None:
    """Wait until the journal has so many files more than now."""
    folder = penstock.data / "journal" / "received"
    wanted = len(list(folder.glob("*/*.sqlite"))) + more
    while len(list(folder.glob("*/*.sqlite"))) < wanted:
        time.sleep(0.05)


def await_acknowledged(traffic: Traffic, events: int) -> None:
    """Wait until so many events are acknowledged."""
    while traffic.acknowledged() < events:
        time.sleep(0.05)


def assert_reports_equal(penstock: RunningPenstock, old: Path, ids: set[str]) -> None:
    """The old warehouse, reduced to what had arrived by the backup, gives the same figures."""
    reference = duckdb.connect(str(old / "warehouse.duckdb"))
    try:
        reference.register("kept", pa.table({"id": sorted(ids)}))
        tables = reference.execute(
            "select table_name from information_schema.tables where table_schema = 'shop' "
            "and table_name in ('tracks', 'kind_0', 'kind_1')"
        ).fetchall()
        for (table,) in tables:
            reference.execute(f"delete from shop.{table} where id not in (select id from kept)")
        for report in REPORTS:
            found = [list(row.values()) for row in penstock.sql(report)]
            expected = [
                [value.isoformat() if hasattr(value, "isoformat") else value for value in row]
                for row in reference.execute(report).fetchall()
            ]
            assert _plain(found) == _plain(expected)
    finally:
        reference.close()


def _plain(rows: list[list[object]]) -> list[list[str]]:
    return [[str(value).replace(" ", "T").removesuffix("Z") for value in row] for row in rows]
