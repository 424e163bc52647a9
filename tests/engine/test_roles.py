"""Roles as processes: how they end, and what they say then."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from penstock.errors import WarehouseError, WarehouseInvalid
from penstock.roles import _loop
from penstock.settings import Settings
from tests.running import free_ports

_TELL_CLOSE = """
from penstock import roles
from penstock.ingest.committer import GroupCommitter
close = GroupCommitter.close
def told(self):
    close(self)
    print("closed", flush=True)
GroupCommitter.close = told
roles.main()
"""


def _start(
    name: str, settings: dict[str, object], folder: Path, *command: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(command or ("-m", "penstock.roles")), name, "0", json.dumps(settings)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(role: subprocess.Popen[str]) -> tuple[str, str]:
    """What the role printed until it ended; its standard input, by which it lives, stays open."""
    line, role.stdin = role.stdin, None
    try:
        return role.communicate(timeout=120)
    finally:
        role.kill()
        if line is not None:
            line.close()


def _collector(folder: Path) -> dict[str, object]:
    (port,) = free_ports(1)
    return {"data": str(folder / "data"), "host": "127.0.0.1", "port": port}


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.6])
def test_a_collector_that_only_just_starts_ends_at_once(tmp_path: Path, after_s: float) -> None:
    role = _start("collector", _collector(tmp_path), tmp_path)
    time.sleep(after_s)
    began = time.monotonic()
    role.terminate()
    _, err = _end(role)
    assert time.monotonic() - began < 60, "one that misses the signal serves for ever"
    assert role.returncode in (0, -signal.SIGTERM), err
    assert "Traceback" not in err


def test_a_collector_that_serves_closes_what_it_writes(tmp_path: Path) -> None:
    settings = _collector(tmp_path)
    role = _start("collector", settings, tmp_path, "-c", _TELL_CLOSE)
    _await_ready(f"http://127.0.0.1:{settings['port']}/ready")
    role.terminate()
    out, err = _end(role)
    assert (role.returncode, out) == (0, "closed\n"), err


def test_a_half_edited_file_does_not_end_a_role(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text("port = [")
    settings = _collector(tmp_path)
    role = _start("collector", settings, tmp_path)
    _await_ready(f"http://127.0.0.1:{settings['port']}/ready")
    role.terminate()
    _end(role)
    assert role.returncode == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"warehouse_chunk": 0}, "warehouse_chunk: at least 1")],
)
def test_an_error_is_told_in_one_line(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    role = _start("process", {"data": str(tmp_path), **settings}, tmp_path)
    _, err = _end(role)
    assert role.returncode == 3
    assert says in err
    assert len(err.splitlines()) == 1


def test_the_same_error_is_told_once_and_left_for_the_supervisor(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    settings.run_folder.mkdir()
    settings.warehouse_file.write_text("no database at all, and long enough to be looked at" * 90)
    told = []
    for _ in range(2):
        role = _start("warehouse", {"data": str(tmp_path)}, tmp_path)
        _, err = _end(role)
        assert role.returncode == 3
        told.append(err)
    assert "warehouse" in told[0]
    assert len(told[0].splitlines()) == 1
    assert told[1] == ""
    assert json.loads(told[0])["error"] == settings.failure_file("warehouse").read_text()


class _Impatient(threading.Event):
    """Never waits; ends after a number of waits."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        if len(self.waited) == self._waits:
            self.set()
        return True


def test_the_pause_after_trouble_grows_to_a_limit_for_ever() -> None:
    def step() -> int:
        raise WarehouseError("no room")

    stop = _Impatient(3000)
    _loop(stop, step, lambda: None, pause_s=0.0)
    assert stop.waited[:4] == [0.1, 0.2, 0.4, 0.8]
    assert set(stop.waited[10:]) == {30}


def test_a_warehouse_that_is_invalid_ends_the_loop() -> None:
    def step() -> int:
        raise WarehouseInvalid("must be opened again")

    with pytest.raises(WarehouseInvalid):
        _loop(_Impatient(10), step, lambda: None, pause_s=0.0)


def _await_ready(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            with opener.open(url, timeout=10):
                return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_libraries_load_without_those_that_have_no_use_here() -> None:
    """Arrow would load NumPy, and Litestar Pydantic: 12 MB and 8 MB for nothing."""
    program = """
import sys
from penstock.roles import _do_without
_do_without("numpy", "pydantic", "pydantic_core")
import duckdb
import litestar
import pyarrow as pa
rows = pa.table({"at": pa.array([1, 2], pa.timestamp("us", "UTC")), "tag": ["a", None]})
assert duckdb.connect().execute("select count(tag) from rows").fetchone() == (1,)
assert duckdb.connect().execute("select [1.5], 'a'").to_arrow_table().num_rows == 1
litestar.Litestar([])
print([name for name in ("numpy", "pydantic") if sys.modules.get(name)])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout == "[]\n", told.stderr
