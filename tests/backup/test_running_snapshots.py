"""Snapshots of a Penstock that runs, under load."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest
import yaml

from penstock.settings import Settings
from tests.recovery.traffic import WORKSPACE, Traffic, wait_until_loaded
from tests.running import RunningPenstock


@pytest.fixture
def penstock(tmp_path: Path) -> RunningPenstock:
    """Ended afterwards by the tests; small segments, so that many are closed."""
    running = RunningPenstock(tmp_path, settings={"PENSTOCK_SEGMENT_BYTES": "200000"})
    running.apply(WORKSPACE)
    return running


def loaded_ids(penstock: RunningPenstock) -> Counter[str]:
    text = penstock.command("sql", "select id from shop.tracks", "--format", "csv")
    return Counter(row[0] for row in list(csv.reader(io.StringIO(text)))[1:])


def await_more(penstock: RunningPenstock, events: int) -> None:
    """Wait until more than so many events are loaded."""
    penstock.wait_for(f"select 1 from shop.tracks having count(*) > {events}")


def test_snapshots_under_load_are_whole(penstock: RunningPenstock, tmp_path: Path) -> None:
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=4, seed=3)
        traffic.start()
        penstock.wait_for("select * from shop.tracks limit 1")
        seen = [0]
        for number in range(3):
            await_more(penstock, seen[-1])
            out = tmp_path / f"copy{number}.duckdb"
            made = json.loads(penstock.command("snapshot", "--out", str(out), "--json"))
            seen.append(made["events"])
            assert_whole(out, made["events"])
        assert seen == sorted(set(seen)), "each is newer than the one before"
        promises = traffic.stop()
        wait_until_loaded(penstock)
        assert promises.acknowledged <= loaded_ids(penstock).keys()
        assert penstock.stop() == 0
        sources = tmp_path / "models" / "sources.yml"
        penstock.command("snapshot", "--dbt", str(sources))
        file = Settings(data=penstock.data).snapshot_file
        assert_whole(file, len(loaded_ids(penstock)))
        (shop,) = yaml.safe_load(sources.read_text())["sources"]
        described = {table["name"]: table["description"] for table in shop["tables"]}
        assert described["kind_0"] == "Event Kind 0."
    finally:
        penstock.close()


def assert_whole(file: Path, events: int) -> None:
    """One file, opened as other tools do; its tables and its progress are of one commit."""
    assert not list(file.parent.glob(f"{file.name}.*"))
    connection = duckdb.connect(str(file), read_only=True)
    try:
        (progress,) = connection.execute(
            "select next, loaded, filtered from penstock.progress"
        ).fetchall()
        assert progress == (events, events, 0)
        assert connection.execute("select count(*) from shop.tracks").fetchone() == (events,)
        kinds = connection.execute(
            "select table_name from information_schema.tables where table_name like 'kind_%'"
        ).fetchall()
        counts = connection.execute(
            "select " + " + ".join(f"(select count(*) from shop.{kind})" for (kind,) in kinds)
        ).fetchone()
        assert counts == (events,)
        assert connection.execute("select sum(loaded) from penstock.ledger").fetchone() == (events,)
    finally:
        connection.close()


def test_a_reader_keeps_the_old_copy_while_a_new_one_is_published(
    penstock: RunningPenstock,
) -> None:
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=1, seed=4)
        traffic.start()
        penstock.wait_for("select * from shop.tracks limit 1")
        penstock.command("snapshot")
        file = Settings(data=penstock.data).snapshot_file
        reader = duckdb.connect(str(file), read_only=True)
        count = reader.execute("select count(*) from shop.tracks").fetchone()
        assert count is not None
        await_more(penstock, count[0])
        penstock.command("snapshot")
        assert reader.execute("select count(*) from shop.tracks").fetchone() == count
        reader.close()
        newer = duckdb.connect(str(file), read_only=True)
        assert newer.execute("select count(*) from shop.tracks").fetchone() != count
        newer.close()
        traffic.stop()
    finally:
        penstock.close()


def test_snapshots_of_a_schedule(tmp_path: Path) -> None:
    running = RunningPenstock(tmp_path, settings={"PENSTOCK_SNAPSHOT_EVERY": "1s"})
    running.apply(WORKSPACE)
    try:
        running.start()
        file = Settings(data=running.data).snapshot_file
        written = {_written(file, 0.0)}
        written.add(_written(file, max(written)))
        assert len(written) == 2
        assert running.stop() == 0
    finally:
        running.close()


def _written(file: Path, after: float) -> float:
    """When a file was written, once that is later than ``after``."""
    deadline = time.monotonic() + 60
    pause = threading.Event()
    while time.monotonic() < deadline:
        if file.exists() and file.stat().st_mtime > after:
            return file.stat().st_mtime
        pause.wait(0.05)
    raise AssertionError(f"{file} was not written")
