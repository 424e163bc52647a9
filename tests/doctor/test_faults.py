"""Faults planted one by one: doctor finds and names each, and nothing in a healthy folder."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.doctor.findings import NOTE, PROBLEM, Finding
from penstock.engine import DataFolderLock
from penstock.events.model import Record, RejectedRecord
from penstock.journal import NewBlock, SqliteJournal
from penstock.journal.contract import RECEIVED, REJECTED
from penstock.metrics import Page, Snapshot, Value
from penstock.profiles.stream.file import ProfileFile, file_of
from tests.doctor.conftest import Examine

_encode = msgspec.msgpack.Encoder().encode
_HOUR_US = 3_600_000_000


@dataclass
class Bed:
    """Where a fault is planted, and what is taken out of the ground afterwards."""

    data: Path
    environment: dict[str, str]
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)

    def runs(self) -> None:
        """Let it look as if an engine ran."""
        self.keep.append(DataFolderLock(self.data / "run"))


Plant = Callable[[Bed], None]


def _misspelt_variable(bed: Bed) -> None:
    bed.environment["PENSTOCK_TRUSTED_PROXY"] = "10.0.0.1"


def _wrong_variable(bed: Bed) -> None:
    bed.environment["PENSTOCK_WORKERS"] = "many"


def _unreadable_toml(bed: Bed) -> None:
    (bed.folder / "penstock.toml").write_text("port = [")


def _misspelt_setting(bed: Bed) -> None:
    (bed.folder / "penstock.toml").write_text('dedup_window = "48h"')


def _old_python(bed: Bed) -> None:
    bed.facts["python"] = (3, 10)


def _other_duckdb(bed: Bed) -> None:
    bed.facts["duckdb"] = "2.1.0"


def _trusts_everybody(bed: Bed) -> None:
    bed.environment["PENSTOCK_TRUSTED_PROXIES"] = "10.0.0.1, 0.0.0.0/0"


def _public_without_tls(bed: Bed) -> None:
    bed.environment["PENSTOCK_PUBLIC_URL"] = "http://cdp.example.com"


def _little_memory(bed: Bed) -> None:
    bed.facts["memory_bytes"] = 1_000_000_000


def _few_files(bed: Bed) -> None:
    bed.facts["open_files"] = 1024


def _open_secrets(bed: Bed) -> None:
    (bed.data / "state.sqlite").chmod(0o644)


def _open_token(bed: Bed) -> None:
    token = bed.data / "run" / "cli.token"
    token.write_text("x")
    token.chmod(0o640)


def _full_disk(bed: Bed) -> None:
    bed.environment["PENSTOCK_MIN_FREE_DISK"] = str(1 << 60)


def _clock_set_back(bed: Bed) -> None:
    bed.facts["now_us"] = time.time_ns() // 1000 - 24 * _HOUR_US


def _newer_state(bed: Bed) -> None:
    _change(bed.data / "state.sqlite", "UPDATE about SET format_version = 99")


def _newer_journal(bed: Bed) -> None:
    (segment,) = (bed.data / "journal" / "events" / "0").glob("*.sqlite")
    _change(segment, "UPDATE about SET format_version = 99")


def _damaged_state(bed: Bed) -> None:
    (bed.data / "state.sqlite").write_bytes(b"no database" * 1000)


def _newer_profiles(bed: Bed) -> None:
    file = file_of(bed.data / "profiles", "default")
    ProfileFile(file).close()
    _change(file, "UPDATE about SET format_version = 99")


def _damaged_profiles(bed: Bed) -> None:
    file = file_of(bed.data / "profiles", "default")
    ProfileFile(file).close()
    file.write_bytes(b"no database" * 1000)


def _damaged_journal(bed: Bed) -> None:
    line = {"at": int(time.time()), "file": "received/0/x.sqlite", "what": "damaged; kept 3 blocks"}
    (bed.data / "journal" / "damage.jsonl").write_text(json.dumps(line) + "\nnot json\n")


def _failing_role(bed: Bed) -> None:
    bed.runs()
    (bed.data / "run" / "process.error").write_text("the index is locked")


def _killed_engine(bed: Bed) -> None:
    (bed.data / "run" / "engine.json").write_text("{}")
    (bed.data / "run" / "engine.json").chmod(0o600)


def _taken_port(bed: Bed) -> None:
    other = socket.socket()
    other.bind(("127.0.0.1", int(bed.environment["PENSTOCK_PORT"])))
    other.listen()
    bed.keep.append(other)


def _silent_collector(bed: Bed) -> None:
    bed.runs()


def _hanging_role(bed: Bed) -> None:
    bed.runs()
    now = time.time_ns() // 1000
    _report(bed, Snapshot("warehouse", now / 1e6 - 90, Page()))
    bed.facts["now_us"] = now


def _long_queue(bed: Bed) -> None:
    bed.runs()
    values = (
        Value("penstock_collector_queue_bytes", 63e6, ("0",)),
        Value("penstock_collector_queue_limit_bytes", 64e6, ("0",)),
    )
    _report(bed, Snapshot("collector-0", time.time(), Page(values)))


def _damaged_warehouse(bed: Bed) -> None:
    (bed.data / "warehouse.duckdb").write_bytes(b"no database" * 10_000)


def _open_elsewhere(bed: Bed) -> None:
    code = f"import duckdb; c = duckdb.connect({str(bed.data / 'warehouse.duckdb')!r}); " \
           "print('open', flush=True); input()"  # fmt: skip
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    bed.keep.append(other)
    assert other.stdout is not None and other.stdout.readline() == b"open\n"


def _slow_process(bed: Bed) -> None:
    bed.runs()
    now = time.time_ns() // 1000
    _append(bed, RECEIVED, [Record("web", "m9", now, b"{}")], now)
    bed.facts["now_us"] = now + _HOUR_US


def _waiting_events(bed: Bed) -> None:
    _append(bed, RECEIVED, [Record("web", "m9", 1, b"{}")], time.time_ns() // 1000)


def _lost_events(bed: Bed) -> None:
    _change(bed.data / "monitor.sqlite", "UPDATE ledger SET stored = stored - 1")


def _no_write_key(bed: Bed) -> None:
    _change(bed.data / "state.sqlite", "UPDATE sources SET write_keys = '[]' WHERE slug = 'shop'")


def _disabled_source(bed: Bed) -> None:
    _change(bed.data / "state.sqlite", "UPDATE sources SET enabled = 0 WHERE slug = 'shop'")
    now = time.time_ns() // 1000
    _append(bed, REJECTED, [RejectedRecord("shop", now, "source_disabled", "", "/v1/t", b"{}")],
            now)  # fmt: skip


FAULTS: dict[Plant, tuple[str, str, str]] = {
    _misspelt_variable: (PROBLEM, "variables", "PENSTOCK_TRUSTED_PROXY is no setting"),
    _wrong_variable: (PROBLEM, "settings", "workers (PENSTOCK_WORKERS): 'many'"),
    _unreadable_toml: (PROBLEM, "settings", "penstock.toml is not valid TOML"),
    _misspelt_setting: (PROBLEM, "settings", "did you mean dedupe_window?"),
    _old_python: (PROBLEM, "versions", "Python 3.10"),
    _other_duckdb: (PROBLEM, "versions", "DuckDB 2.1.0"),
    _trusts_everybody: (PROBLEM, "trusted proxies", "0.0.0.0/0, which is everybody"),
    _public_without_tls: (PROBLEM, "TLS", "http://cdp.example.com"),
    _little_memory: (PROBLEM, "memory", "the machine has 1.0 GB"),
    _few_files: (NOTE, "open files", "1024 files"),
    _open_secrets: (PROBLEM, "permissions", "state.sqlite holds secrets"),
    _open_token: (PROBLEM, "permissions", "cli.token holds secrets"),
    _full_disk: (PROBLEM, "disk", "less than min_free_disk"),
    _clock_set_back: (PROBLEM, "clock", "the clock says"),
    _newer_state: (PROBLEM, "versions", "state.sqlite was written by a newer Penstock"),
    _newer_journal: (PROBLEM, "versions", "events/0/"),
    _damaged_state: (PROBLEM, "damage", "state.sqlite can't be read"),
    _newer_profiles: (PROBLEM, "versions", "default.sqlite was written by a newer Penstock"),
    _damaged_profiles: (PROBLEM, "damage", "profiles/default.sqlite can't be read"),
    _damaged_journal: (PROBLEM, "damage", "received/0/x.sqlite: damaged; kept 3 blocks"),
    _failing_role: (PROBLEM, "roles", "the role process fails: the index is locked"),
    _killed_engine: (NOTE, "leftovers", "was killed here"),
    _taken_port: (PROBLEM, "ports", "can't be had: Address already in use"),
    _silent_collector: (PROBLEM, "ports", "an engine runs, but"),
    _hanging_role: (PROBLEM, "roles", "warehouse has not reported for 9"),
    _long_queue: (PROBLEM, "queue", "63 MB waiting for the disk"),
    _damaged_warehouse: (PROBLEM, "warehouse", "can't be opened"),
    _open_elsewhere: (PROBLEM, "warehouse", "only one may"),
    _slow_process: (PROBLEM, "lag", "process is behind by 1 events"),
    _waiting_events: (NOTE, "lag", "1 events wait for process"),
    _lost_events: (PROBLEM, "ledger", "at the stage process"),
    _no_write_key: (PROBLEM, "sources", "shop has no write key"),
    _disabled_source: (PROBLEM, "sources", "shop is disabled, and 1 events"),
}
_CAUSES_MORE = {_silent_collector, _failing_role, _hanging_role, _long_queue, _slow_process}
"""Where an engine only seems to run, its port and its warehouse are silent, too."""


def test_a_healthy_folder_has_nothing(doctor: Examine) -> None:
    assert doctor() == []


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__.strip("_"))
def test_a_planted_fault_is_found_and_named(
    plant: Plant, doctor: Examine, data: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    bed = Bed(data, environment, tmp_path)
    try:
        plant(bed)
        found = doctor(**bed.facts)
    finally:
        for planted in bed.keep:
            _take_out(planted)
    severity, check, says = FAULTS[plant]
    named = [one for one in found if says in one.what]
    assert [(one.severity, one.check) for one in named] == [(severity, check)], found
    assert named[0].do
    if plant not in _CAUSES_MORE:
        assert found == named


def test_findings_come_with_problems_first(doctor: Examine, data: Path) -> None:
    _killed_engine(bed := Bed(data, {}, data))
    _open_secrets(bed)
    assert [one.severity for one in doctor()] == [PROBLEM, NOTE]


def test_a_torn_write_is_no_loss(doctor: Examine, data: Path) -> None:
    line = {
        "at": int(time.time()),
        "file": "f",
        "what": "frames 3 to 4 of the write-ahead file fail",
    }
    (data / "journal" / "damage.jsonl").write_text(f"{json.dumps(line)}\n" * 50)
    (found,) = doctor()
    assert (found.severity, found.check) == (NOTE, "damage")
    assert "50 times" in found.what


def test_old_damage_is_a_note(doctor: Examine, data: Path) -> None:
    at = time.time() - timedelta(days=40).total_seconds()
    line = {"at": int(at), "file": "f", "what": "damaged"}
    (data / "journal" / "damage.jsonl").write_text(json.dumps(line))
    assert [one.severity for one in doctor()] == [NOTE]


def test_a_folder_without_anything(doctor: Examine, data: Path) -> None:
    for path in sorted(data.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    data.rmdir()
    found: list[Finding] = doctor()
    assert [(one.severity, one.check) for one in found] == [(NOTE, "data folder")]
    assert not data.exists()


def test_a_check_that_fails_is_told_and_the_others_go_on(doctor: Examine, data: Path) -> None:
    (data / "run" / "warehouse.error").mkdir()
    _open_secrets(Bed(data, {}, data))
    found = doctor()
    assert {one.check for one in found} == {"permissions", "failures"}


def _take_out(planted: Any) -> None:
    if isinstance(planted, DataFolderLock):
        planted.release()
    elif isinstance(planted, subprocess.Popen):
        planted.communicate(b"\n", timeout=60)
    else:
        planted.close()


def _report(bed: Bed, snapshot: Snapshot) -> None:
    folder = bed.data / "run" / "metrics"
    folder.mkdir(exist_ok=True)
    (folder / f"{snapshot.role}.json").write_bytes(msgspec.json.encode(snapshot))


def _append(bed: Bed, topic: str, records: list[Any], at_us: int) -> None:
    journal = SqliteJournal(bed.data / "journal", clock=lambda: at_us)
    writer = journal.writer(topic, 0)
    writer.append([NewBlock(_encode(records), len(records))])
    writer.close()
    journal.close()


def _change(path: Path, statement: str) -> None:
    mode = path.stat().st_mode
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    os.chmod(path, mode)  # noqa: PTH101 - as SQLite left it
