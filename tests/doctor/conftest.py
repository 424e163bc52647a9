"""A healthy data folder, made by a real Penstock, to plant faults in."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.doctor.examination import examine
from penstock.doctor.findings import Finding, Machine, this_machine
from tests.running import RunningPenstock, free_ports

WORKSPACE = """
sources:
  web: {type: browser, write_keys: [web-key]}
  shop: {type: server, write_keys: [shop-key]}
"""


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Penstock that took events, loaded them and was stopped."""
    folder = tmp_path_factory.mktemp("healthy")
    penstock = RunningPenstock(folder)
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        for user in ("u1", "u2"):
            send(penstock.url, "web-key", user)
        penstock.wait_for("select * from web.tracks", lambda rows: len(rows) == 2)
        _await_monitor(penstock)
        penstock.stop()
    finally:
        penstock.close()
    return penstock.data


@pytest.fixture
def data(healthy: Path, tmp_path: Path) -> Path:
    """A copy of the healthy folder."""
    return shutil.copytree(healthy, tmp_path / "data", copy_function=shutil.copy2)


@pytest.fixture
def environment() -> dict[str, str]:
    """Variables of a Penstock that only this machine reaches, on ports that are free."""
    port, console_port = free_ports(2)
    return {
        "PENSTOCK_HOST": "127.0.0.1",
        "PENSTOCK_PORT": str(port),
        "PENSTOCK_CONSOLE_PORT": str(console_port),
        "PENSTOCK_WARN_FREE_DISK": "0",
        "PENSTOCK_MIN_FREE_DISK": "0",
    }


Examine = Callable[..., list[Finding]]


@pytest.fixture
def doctor(data: Path, environment: dict[str, str], tmp_path: Path) -> Examine:
    """Examines the folder, with facts of the machine replaced; checks that nothing changes."""

    def run(**facts: Any) -> list[Finding]:
        machine = this_machine()
        known = {
            "now_us": time.time_ns() // 1000, "python": machine.python, "duckdb": machine.duckdb,
            "open_files": 65_536, "memory_bytes": 64_000_000_000, "environment": environment,
            "settings_file": tmp_path / "penstock.toml",
        }  # fmt: skip
        before = _state(data)
        found = examine({"data": data}, Machine(**{**known, **facts}))
        assert _state(data) == before
        return found

    return run


def _state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with its size, time and mode; what SQLite shares between readers left out."""
    return {
        str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns, stat.st_mode)
        for path in folder.rglob("*")
        for stat in (path.stat(),)
        if path.is_file() and not path.name.endswith("-shm")
    }


def _await_monitor(penstock: RunningPenstock) -> None:
    """Wait until no reader has anything before it."""
    deadline = time.monotonic() + 60
    while True:
        page = urllib.request.urlopen(f"{penstock.url}/metrics", timeout=60).read().decode()
        lags = [line for line in page.splitlines() if line.startswith("penstock_lag_events")]
        if lags and all(line.endswith(" 0") for line in lags):
            return
        assert time.monotonic() < deadline, page
        time.sleep(0.2)


def send(url: str, key: str, user: str) -> None:
    """One event over HTTP."""
    body = json.dumps({"writeKey": key, "event": "Toast", "userId": user}).encode()
    request = urllib.request.Request(f"{url}/v1/track", body, method="POST")
    urllib.request.urlopen(request, timeout=60).close()
