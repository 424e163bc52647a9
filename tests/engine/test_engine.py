"""The supervisor: restarts, what it says of them, stopping, and the lock of the folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock import engine as module
from penstock.engine import DataFolderLock, Engine, is_running
from penstock.errors import AlreadyRunning, PenstockError
from penstock.settings import Settings

_FAIL = "import sys; sys.exit(3)"
_RUN = "import sys; sys.stdin.read()"
Popen = subprocess.Popen


class _Children:
    """Stands for Popen: roles that do what the test wants."""

    def __init__(self) -> None:
        self.code: dict[str, str] = {}
        self.refuse = 0

    def __call__(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if self.refuse:
            self.refuse -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        code = self.code.get(command[3], _RUN)
        return Popen([sys.executable, "-c", code], **options)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> _Children:
    stand_in = _Children()
    monkeypatch.setattr(module.subprocess, "Popen", stand_in)  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "_RESTART_DELAYS", (0.0, 0.05))
    monkeypatch.setattr(module, "_STEADY_S", 600)  # however long a role takes to fail
    return stand_in


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def engine(tmp_path: Path, children: _Children, said: list[str]) -> Iterator[Engine]:
    made = Engine(Settings(data=tmp_path), say=said.append)
    yield made
    made.stop()


def _watch_until(engine: Engine, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        engine.watch()
        time.sleep(0.01)


def test_a_role_that_never_starts_is_told_once_with_its_reason(
    engine: Engine, children: _Children, said: list[str], tmp_path: Path
) -> None:
    children.code["warehouse"] = (
        "import sys, pathlib\n"
        f"file = pathlib.Path({str(tmp_path)!r}, 'run', 'warehouse.error')\n"
        "file.write_text('warehouse.duckdb is damaged')\nsys.exit(3)"
    )
    engine.start()
    _watch_until(engine, lambda: _role(engine, "warehouse").failures == 7)
    assert said == [
        "warehouse ended with status 3; starting it again in 0 s",
        "warehouse ended with status 3; starting it again in 0.05 s",
        "warehouse failed 3 times in a row: warehouse.duckdb is damaged\n"
        "warehouse is tried again every 0.05 s, without more words",
    ]


def test_a_role_that_comes_back_is_told_and_may_fail_anew(
    engine: Engine, children: _Children, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    children.code["process"] = _FAIL
    engine.start()
    _watch_until(engine, lambda: _role(engine, "process").failures == 4)
    assert "process failed 3 times in a row: it ended with status 3 and left no message" in said[2]
    children.code["process"] = _RUN
    _watch_until(engine, lambda: "process" in engine.processes())
    monkeypatch.setattr(module, "_STEADY_S", 0.2)
    _watch_until(engine, lambda: said[-1] == "process runs again")
    assert _role(engine, "process").failures == 0


def test_a_fork_that_fails_is_a_failure_of_that_role(
    engine: Engine, children: _Children, said: list[str]
) -> None:
    engine.start()
    first = engine.processes()
    os.kill(first["process"], signal.SIGKILL)
    children.refuse = 1
    _watch_until(engine, lambda: engine.processes().get("process") not in (None, first["process"]))
    assert said[0] == "process ended with signal 9; starting it again in 0 s"
    assert said[1].startswith("process can't be started ([Errno 11]")
    assert said[1].endswith("starting it again in 0.05 s")
    others = {name: pid for name, pid in engine.processes().items() if name != "process"}
    assert others == {name: pid for name, pid in first.items() if name != "process"}


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, children: _Children) -> None:
    settings = Settings(data=tmp_path)
    engine = Engine(settings)
    children.refuse = 1
    with pytest.raises(PenstockError, match="can't start the engine"):
        engine.start()
    assert engine.processes() == {}
    assert not is_running(settings)


def test_a_halted_role_is_stopped_like_any_other(tmp_path: Path, children: _Children) -> None:
    engine = Engine(Settings(data=tmp_path))
    engine.start()
    engine.pause(("process", "warehouse"))
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < module._DRAIN_S, "it was killed when its time was up"


def test_one_folder_has_one_engine(tmp_path: Path) -> None:
    lock = DataFolderLock(tmp_path / "run")
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        DataFolderLock(tmp_path / "run")
    lock.release()
    DataFolderLock(tmp_path / "run").release()


def test_somebody_who_only_looks_keeps_no_engine_out(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    DataFolderLock(settings.run_folder).release()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_running(settings)
            time.sleep(0.001)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            DataFolderLock(settings.run_folder).release()
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def _role(engine: Engine, name: str) -> Any:
    return next(role for role in engine._roles if role.name == name)
