"""``penstock doctor`` as a command: what it prints and how it ends, also while an engine runs."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.running import CommandFailedError, RunningPenstock, free_ports

_LOCAL = {
    "PENSTOCK_HOST": "127.0.0.1", "PENSTOCK_MIN_FREE_DISK": "0", "PENSTOCK_WARN_FREE_DISK": "0",
    "PENSTOCK_WAREHOUSE_MEMORY": "100MB",
}  # fmt: skip


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = dict(zip(("PORT", "CONSOLE_PORT"), map(str, free_ports(2)), strict=True))
    for name, value in {**_LOCAL, **{f"PENSTOCK_{n}": p for n, p in ports.items()}}.items():
        monkeypatch.setenv(name, value)


def test_notes_alone_are_healthy(run: Run, tmp_path: Path) -> None:
    done = run("doctor", "--data", tmp_path / "none")
    assert done.code == 0
    assert "note (data folder): there is no" in done.text
    assert "  -> penstock up\n" in done.text
    assert "0 problems, 1 notes" in done.text
    assert max(map(len, done.text.splitlines())) <= 80


def test_a_problem_is_1(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TRUSTED_PROXIES", "0.0.0.0/0")
    monkeypatch.setenv("PENSTOCK_WORKERZ", "2")
    done = run("doctor", "--data", tmp_path, "--json")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["healthy"] is False
    assert [(one["severity"], one["check"]) for one in found["findings"]] == [
        ("problem", "variables"), ("problem", "trusted proxies"),
    ]  # fmt: skip
    assert found["findings"][0]["do"] == "rename it to PENSTOCK_WORKERS"


def test_a_running_engine_is_examined_with_its_own_settings(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path, settings=_LOCAL)
    try:
        penstock.start()
        _await_reports(penstock, "collector-0", "process", "warehouse", "monitor", "api")
        assert json.loads(penstock.command("doctor", "--json")) == {"healthy": True, "findings": []}
        penstock.stop()
    finally:
        penstock.close()


def _await_reports(penstock: RunningPenstock, *roles: str) -> None:
    """Wait until each role has reported once."""
    folder = penstock.data / "run" / "metrics"
    deadline = time.monotonic() + 60
    while not all((folder / f"{role}.json").exists() for role in roles):
        assert time.monotonic() < deadline, penstock.log_tail()
        time.sleep(0.1)


def test_a_warehouse_that_cant_be_opened_is_told_by_all(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path, settings=_LOCAL)
    penstock.data.mkdir()
    (penstock.data / "warehouse.duckdb").write_bytes(b"no database at all" * 1000)
    try:
        penstock.start()
        greeting = penstock.greeting()
        if "BUT" not in greeting:  # a slow machine knows it after the greeting, and at the next
            penstock.wait_for_log("warehouse ended with status 3")
            penstock.stop()
            penstock.log.unlink()
            penstock.start()
            greeting = penstock.greeting()
        assert "BUT the role warehouse does not work:" in greeting
        assert greeting.startswith("Penstock is up")
        with urllib.request.urlopen(f"{penstock.url}/ready", timeout=60) as answer:
            assert answer.status == 200  # events are taken, and wait
        with pytest.raises(CommandFailedError) as failed:
            penstock.command("doctor", "--json")
        said = json.loads(str(failed.value).partition("ended with 1: ")[2])
        names = {one["check"]: one["what"] for one in said["findings"]}
        assert "not a valid DuckDB database" in names["roles"]
        assert "does not answer" in names["warehouse"]
        began = time.monotonic()
        with pytest.raises(CommandFailedError, match=r"doctor.* says more"):
            penstock.sql("select 1")
        assert time.monotonic() - began < 20, "it waits longer only for one that may still start"
        penstock.stop()
    finally:
        penstock.close()
