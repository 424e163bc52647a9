from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from penstock.destinations.catalog.local_files import DESTINATION
from penstock.destinations.contract import Call, FileWrite
from penstock.destinations.sending import Performed, perform, perform_dry
from tests.destinations.sending.sinks import call, senders

WRITE = DESTINATION.action("write")


def rows(count: int, day: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "data": {
                "type": "track", "messageId": f"m{n}", "n": n, "ok": True,
                "timestamp": f"2026-01-0{day}T0{n % 3}:00:00.000Z", "properties": {"a": [n]},
            },
            "received_at": f"2026-01-0{day}T0{n % 3}:30:00.000Z",
        }
        for n in range(count)
    ]  # fmt: skip


def run(asked: Call, folder: Path) -> Performed:
    async def go() -> Performed:
        async with senders(folder=folder) as out:
            return await perform(DESTINATION, WRITE, asked, out)

    return asyncio.run(go())


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_batch_written_twice_is_there_once(tmp_path: Path) -> None:
    for _ in range(2):
        done = run(call(rows(5), folder="events"), tmp_path)
        assert all(each.delivered for each in done.outcomes)
    (name,) = files(tmp_path)
    assert name.startswith("events/date=2026-01-02/") and name.endswith(".jsonl.gz")
    lines = gzip.decompress((tmp_path / name).read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == [row["data"] for row in rows(5)]


def test_names_differ_with_events_and_with_what_is_made_of_them(tmp_path: Path) -> None:
    run(call(rows(5), folder="e"), tmp_path)
    others = [{**row, "data": {"n": 1}} for row in rows(5)]
    run(call(others, folder="e"), tmp_path)
    run(replace(call(others, folder="e"), message_ids=list("abcde")), tmp_path)
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize(("partition", "folders"), [("none", 1), ("day", 2), ("hour", 6)])
def test_folders(tmp_path: Path, partition: str, folders: int) -> None:
    run(
        call(rows(6) + rows(6, day=3), folder="e", partition=partition, compression="none"),
        tmp_path,
    )
    found = files(tmp_path)
    assert len(found) == folders
    assert sum(len((tmp_path / name).read_text().splitlines()) for name in found) == 12


def test_a_row_without_a_time_goes_where_it_is_now() -> None:
    (built,) = perform_dry(WRITE, call([{"data": {}}], folder="e"))
    assert isinstance(built, FileWrite) and built.name.startswith("date=2026-01-02/")


def test_parquet_keeps_its_columns(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"data": {"messageId": "x", "n": 1.5, "ok": "yes", "timestamp": "odd", "big": 2**60}},
        {"data": {"messageId": None, "n": None}},
    ]
    run(call(rows(3), folder="a", format="parquet", partition="none"), tmp_path)
    run(call(odd, folder="b", format="parquet", partition="none"), tmp_path)
    engine = duckdb.connect()

    def columns(folder: str) -> dict[str, str]:
        asked = f"describe select * from read_parquet('{tmp_path}/{folder}/*.parquet')"
        return {row[0]: row[1] for row in engine.execute(asked).fetchall()}

    assert columns("a") == {
        "type": "VARCHAR", "messageId": "VARCHAR", "n": "DOUBLE", "ok": "BOOLEAN",
        "timestamp": "TIMESTAMP WITH TIME ZONE", "properties": "VARCHAR",
    }  # fmt: skip
    assert columns("b") == {
        "messageId": "VARCHAR", "n": "DOUBLE", "ok": "VARCHAR", "timestamp": "VARCHAR",
        "big": "VARCHAR",
    }  # fmt: skip
    found = engine.execute(f"select big, n from '{tmp_path}/b/*.parquet'").fetchall()
    assert found == [(str(2**60), 1.5), (None, None)]


def test_another_folder_than_allowed_is_refused(tmp_path: Path) -> None:
    done = run(call(rows(2), folder="/etc"), tmp_path)
    assert {each.code for each in done.outcomes} == {"INVALID_SETTINGS"} and not files(tmp_path)
