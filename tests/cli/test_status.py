"""``penstock status``, on journals written by hand and by a running Penstock."""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.cli import status as module
from penstock.cli.up import local_url
from penstock.engine import DataFolderLock
from penstock.errors import EngineUnreachable
from penstock.events.model import Record, RejectedRecord
from penstock.journal import NewBlock, SqliteJournal
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED
from penstock.settings import Settings
from tests.cli.conftest import Run
from tests.running import RunningPenstock

_encode = msgspec.msgpack.Encoder().encode


def test_without_a_journal(run: Run, tmp_path: Path) -> None:
    done = run("status", "--data", tmp_path / "none")
    assert done.code == 1
    assert "no journal in" in done.err
    assert not (tmp_path / "none").exists()


def test_processed_is_what_the_events_blocks_say(run: Run, tmp_path: Path) -> None:
    """The committed position follows only now and then; a duplicate must not count as -1."""
    _write(tmp_path, RECEIVED, [Record("web", name, 1, b"{}") for name in "aab"])
    meta = msgspec.json.encode({"partition": 0, "first": 0, "end": 3, "duplicates": 1})
    _write(tmp_path, EVENTS, [Record("web", name, 1, b"{}") for name in "ab"], meta)
    found = json.loads(run("status", "--json", "--data", tmp_path).out)
    wanted = {"running": False, "received": 3, "processed": 3, "events": 2, "duplicates": 1,
              "process_lag": 0, "warehouse_lag": 2, "rejected": 0}  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted


def test_the_newest_refusals_are_counted_by_code(run: Run, tmp_path: Path) -> None:
    def refused(code: str, source: str, at: int, reason: str) -> RejectedRecord:
        return RejectedRecord(source, at, code, reason, "/v1/track", b"{}")

    _write(
        tmp_path,
        REJECTED,
        [
            refused("event_not_defined", "web", 1, "first"),
            refused("event_not_defined", "web", 2_000_000, "newest"),
            refused("unknown_source", "", 3, "no source has the write key 'x'"),
        ],
    )
    done = run("status", "--data", tmp_path)
    assert done.code == 0
    assert "  2 x event_not_defined (web): newest\n" in done.text
    assert "  1 x unknown_source (unknown source): no source has" in done.text
    lately = json.loads(run("status", "--json", "--data", tmp_path).out)["rejected_lately"]
    assert lately[0] == {"code": "event_not_defined", "source": "web", "count": 2,
                         "last_at": "1970-01-01T00:00:02.000+00:00",
                         "last_reason": "newest"}  # fmt: skip


def test_up_greets_with_lines_that_work_as_pasted(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path)
    try:
        penstock.start()
        greeting = penstock.greeting()
        curl, query, *_ = re.findall(r"^  (\S.*?[^\\])$", greeting.replace("\\\n   ", ""), re.M)
        words = shlex.split(curl)
        key = words[words.index("-u") + 1].removesuffix(":")
        body = json.loads(words[words.index("-d") + 1])
        request = urllib.request.Request(
            words[1], json.dumps({**body, "writeKey": key}).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.loads(answer.read()) == {"success": True}
        assert shlex.split(query)[1:4] == ["sql", "--data", str(penstock.data)]
        rows = penstock.wait_for(shlex.split(query)[-1])
        assert [(row["user_id"], row["slices"]) for row in rows] == [("u1", 2)]
        found = json.loads(penstock.command("status", "--json"))
        wanted = {"running": True, "received": 1, "duplicates": 0, "loaded": 1, "process_lag": 0}
        assert {name: found[name] for name in wanted} == wanted
        penstock.stop()
    finally:
        penstock.close()


def test_a_warehouse_that_does_not_answer_is_unknown_and_asked_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, EVENTS, [Record("web", "a", 1, b"{}")], b'{"partition":0,"end":1}')
    (tmp_path / "warehouse.duckdb").touch()
    asked: list[str] = []

    def run_query(_settings: Settings, sql: str) -> Any:
        asked.append(sql)
        raise EngineUnreachable("nobody answers")

    monkeypatch.setattr(module, "run_query", run_query)
    lock = DataFolderLock(Settings(data=tmp_path).run_folder)
    try:
        found = json.loads(run("status", "--json", "--data", tmp_path).out)
        assert len(asked) == 1
        text = run("status", "--data", tmp_path).text
    finally:
        lock.release()
    names = ("loaded", "filtered", "warehouse_lag", "loaded_per_s")
    assert {name: found[name] for name in names} == dict.fromkeys(names)
    assert (found["running"], found["events"]) == (True, 1)
    assert re.search(r"loaded into the warehouse\W+unknown", text)


def test_an_engine_without_a_warehouse_yet_has_loaded_nothing(run: Run, tmp_path: Path) -> None:
    _write(tmp_path, EVENTS, [Record("web", "a", 1, b"{}")], b'{"partition":0,"end":1}')
    lock = DataFolderLock(Settings(data=tmp_path).run_folder)
    try:
        found = json.loads(run("status", "--json", "--data", tmp_path).out)
    finally:
        lock.release()
    assert (found["loaded"], found["warehouse_lag"], found["running"]) == (0, 1, True)


def test_the_local_address_can_be_used() -> None:
    assert local_url(Settings(port=1)) == "http://127.0.0.1:1"
    assert local_url(Settings(port=1, host="::")) == "http://[::1]:1"
    assert local_url(Settings(port=1, host="cdp.test")) == "http://cdp.test:1"


def _write(folder: Path, topic: str, records: list[Any], meta: bytes = b"") -> None:
    journal = SqliteJournal(folder / "journal")
    writer = journal.writer(topic, 0)
    writer.append([NewBlock(_encode(records), len(records), meta)])
    writer.close()
    journal.close()
