"""A running Penstock with functions that misbehave: they are stopped, and the rest goes on."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.events.model import RejectedRecord
from penstock.journal.contract import REJECTED
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.ledger import ledger_rows
from penstock.monitor.store import MonitorStore
from tests.destinations.faults.rig import Rig, until
from tests.running import RunningPenstock

if sys.platform != "linux":
    pytest.skip("functions run on Linux only", allow_module_level=True)

HOSTILE = {
    "looper": "while True: pass",
    "eater": "while True: hoard.append('a' * 1_000_000)",
    "reader": "event['properties']['stolen'] = open({key!r}).read()",
    "looker": "event['properties']['stolen'] = open(f'/proc/{{os.getppid()}}/environ').read()",
    "dialler": "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "forker": "while True: os.fork()",
    "writer": "while True: os.write(random.randrange(3, 9), b'x' * 60_000)",
    "printer": "while True: print('spam')",
}
STOPPED = {"looper", "eater", "printer"}
TIDY = """
from penstock.functions import Event, Reject, Settings

def on_track(event: Event, settings: Settings) -> Event | list[Event] | None:
    name = event["event"]
    if name == "Heartbeat":
        return None
    if name == "Banned":
        raise Reject(settings["why"])
    event["properties"]["tidy"] = True
    return [event, {**event, "event": "Copy"}] if name == "Twice" else event
"""
BEFORE = """
def on_track(event, settings):
    while event["event"] == "Loop":
        pass
    if event["event"] == "Private":
        return None
    event["properties"]["email"] = "hidden"
    return event
"""


def _source(slug: str) -> str:
    return f"  {slug}: {{name: {slug}, type: server, write_keys: [key-{slug}]}}\n"


def _workspace(rig: Rig) -> str:
    hook = rig.url("hook")
    functions = "".join(
        f"  {name}: {{file: {name}.py, sources: [{name}_shop], timeout: 2, memory: 33554432}}\n"
        for name in HOSTILE
    )
    return (
        "sources:\n" + "".join(_source(f"{name}_shop") for name in HOSTILE)
        + _source("web") + _source("tidy_shop")
        + "functions:\n" + functions
        + "  tidy: {file: tidy.py, sources: [tidy_shop], settings: {why: not here}}\n"
        + "  before: {file: before.py, timeout: 2}\n"
        + "destinations:\n"
        + f"  hook: {{type: webhook, functions: [before], settings: {{url: '{hook}'}}}}\n"
        + f"  plain: {{type: webhook, settings: {{url: '{rig.url('plain')}'}}}}\n"
    )  # fmt: skip


def _write_functions(penstock: RunningPenstock) -> None:
    folder = penstock.data / "functions"
    folder.mkdir(parents=True)
    for name, statement in HOSTILE.items():
        told = statement.format(key=str(penstock.data / "secret.key"), port=penstock.port)
        (folder / f"{name}.py").write_text(
            "import os, random\nhoard = []\n"
            f"def on_track(event, settings):\n    {told}\n    return event\n"
        )
    (folder / "tidy.py").write_text(TIDY)
    (folder / "before.py").write_text(BEFORE)


def _send(penstock: RunningPenstock, source: str, events: list[tuple[str, str]]) -> None:
    """Events as (messageId, name)."""
    batch = [
        {"type": "track", "event": name, "userId": "u", "messageId": one, "properties": {"a": 1}}
        for one, name in events
    ]
    body = json.dumps({"writeKey": f"key-{source}", "batch": batch}).encode()
    request = urllib.request.Request(
        f"{penstock.url}/v1/batch", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=60).close()


def _rejected(penstock: RunningPenstock) -> list[RejectedRecord]:
    journal = SqliteJournal(penstock.data / "journal")
    found: list[RejectedRecord] = []
    try:
        for part in journal.partitions(REJECTED):
            for block in journal.read(REJECTED, part, 0, 10_000).blocks:
                found += msgspec.msgpack.decode(block.body, type=list[RejectedRecord])
    finally:
        journal.close()
    return found


def _codes(penstock: RunningPenstock) -> dict[str, str]:
    """Code of what was rejected, by source."""
    return {one.source: one.code for one in _rejected(penstock)}


def test_functions_that_misbehave_are_stopped_and_the_rest_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    rig.sink_up()
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_ALLOW_PRIVATE_DESTINATIONS": "1"})
    _write_functions(penstock)
    penstock.apply(_workspace(rig))
    try:
        penstock.start()
        for name in HOSTILE:
            _send(penstock, f"{name}_shop", [(f"{name}-1", "Order")])
        _send(penstock, "tidy_shop", [
            ("t-1", "Order"), ("t-2", "Heartbeat"), ("t-3", "Banned"), ("t-4", "Twice"),
        ])  # fmt: skip
        _send(penstock, "web", [("w-1", "Order"), ("w-2", "Loop"), ("w-3", "Private"),
                                ("w-4", "Order")])  # fmt: skip
        until(lambda: set(_codes(penstock)) >= {f"{name}_shop" for name in HOSTILE})
        _check_sources(penstock)
        _check_destinations(rig)
        _check_names(penstock)
        until(lambda: _balances(penstock))
    finally:
        penstock.close()
        rig.close()


def _check_sources(penstock: RunningPenstock) -> None:
    codes = _codes(penstock)
    for name in HOSTILE:
        allowed = {"function_stopped"} if name in STOPPED else {"function_failed",
                                                                "function_stopped"}  # fmt: skip
        assert codes[f"{name}_shop"] in allowed, name
    kept = _rejected(penstock)
    assert not any(b"stolen" in one.original for one in kept)
    (banned,) = (one for one in kept if one.source == "tidy_shop")
    assert (banned.code, banned.reason) == ("function_rejected", "not here")
    rows = penstock.wait_for(
        "SELECT id, event FROM tidy_shop.tracks ORDER BY id", lambda rows: len(rows) == 3
    )
    assert [(row["id"], row["event"]) for row in rows] == [
        ("t-1", "order"), ("t-4", "twice"), ("t-4-1", "copy"),
    ]  # fmt: skip
    assert penstock.sql("SELECT tidy FROM tidy_shop.order") == [{"tidy": True}]
    penstock.wait_for("SELECT id FROM web.tracks", lambda rows: len(rows) == 4)


def _check_destinations(rig: Rig) -> None:
    whole = {"t-1", "t-4", "t-4-1", "w-1", "w-2", "w-3", "w-4"}
    until(lambda: set(rig.taken().of("/plain")) == whole)
    until(lambda: set(rig.taken().of("/hook")) == whole - {"w-2", "w-3"})


def _check_names(penstock: RunningPenstock) -> None:
    """The log and the list name the functions and what they did."""
    log = penstock.log.read_text(encoding="utf-8", errors="replace")
    for name in STOPPED:
        assert f'"a function was stopped", "function": "{name}"' in log, name

    def found() -> dict[str, Any] | None:
        rows = {row["function"]: row for row in json.loads(
            penstock.command("functions", "list", "--json"))}  # fmt: skip
        return rows if rows["before"]["place"] else None

    rows = until(found)
    assert {rows[name]["failed"] for name in HOSTILE} == {1}
    assert rows["tidy"]["dropped"] == 1
    assert rows["tidy"]["added"] == 1
    assert rows["before"]["codes"] == {"FUNCTION_STOPPED": 1}


def _balances(penstock: RunningPenstock) -> bool:
    store = MonitorStore(penstock.data / "monitor.sqlite")
    try:
        rows = ledger_rows(store.connection)
    finally:
        store.close()
    told = sum(row.accepted for row in rows) == len(HOSTILE) + 8
    return told and not any(row.missing for row in rows) and not any(row.waiting for row in rows)
