"""``penstock demo``: whose folder it empties, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from penstock.cli import demo as module
from penstock.engine import DataFolderLock, Engine
from penstock.errors import DemoError, EngineUnreachable
from penstock.settings import Settings
from tests.cli.conftest import Run
from tests.running import free_ports

MARK = ".penstock-demo"


@pytest.mark.parametrize(
    "files",
    [
        {"demo": ""},
        {"demo/notes.txt": "mine"},
        {MARK: ""},
        {MARK: "mine"},
        {f"{MARK}/notes.txt": "mine"},
        {"state.sqlite": "mine"},
    ],
)
def test_a_folder_of_somebody_else_is_left_alone(
    run: Run, tmp_path: Path, files: dict[str, str]
) -> None:
    folder = tmp_path / "mine"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = run("demo", "--data", folder, "--port", "0")
    assert done.code == 1
    assert f"{folder} is not a demo's" in done.err
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert found == files


def test_only_what_a_demo_made_is_deleted(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "demo")
    module._own_folder(settings)
    mark = (settings.data / MARK).read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "notes.txt").write_text("mine")
    ours = ["journal/events/0/1.sqlite", "dedupe/CURRENT", "run/engine.lock", "state.sqlite",
            "state.sqlite-wal", "warehouse.duckdb", "warehouse.duckdb.wal"]  # fmt: skip
    for name in [*ours, "notes.txt", "sub/warehouse.duckdb"]:
        (settings.data / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.data / name).write_text("x")
    (settings.data / "warehouse.duckdb.link").symlink_to(elsewhere)
    module._own_folder(settings)
    left = sorted(str(p.relative_to(settings.data)) for p in settings.data.rglob("*"))
    assert left == [MARK, "notes.txt", "sub", "sub/warehouse.duckdb"]
    assert (settings.data / MARK).read_text() == mark
    assert (elsewhere / "notes.txt").read_text() == "mine"


def test_a_demo_that_runs_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "demo")
    module._own_folder(settings)
    lock = DataFolderLock(settings.run_folder)
    try:
        with pytest.raises(DemoError, match=r"runs in .* already"):
            module._own_folder(settings)
    finally:
        lock.release()


def test_the_default_folder_is_told(run: Run) -> None:
    assert "Default: ./penstock-demo." in " ".join(run("demo", "--help").text.split())


class _Watched:
    """Stands for the engine."""

    def __init__(self) -> None:
        self.watched = 0

    def watch(self) -> None:
        self.watched += 1


def _supervise(stop: threading.Event, work: Future[None]) -> int:
    engine = _Watched()
    module._supervise(cast(Engine, engine), stop, work)
    return engine.watched


def test_roles_are_watched_while_the_work_goes_on() -> None:
    engine = _Watched()

    def work() -> None:
        deadline = time.monotonic() + 180
        while engine.watched < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    module._supervise(cast(Engine, engine), threading.Event(), module._in_background(work))


def test_an_error_of_the_work_ends_it() -> None:
    def fail() -> None:
        raise DemoError("refused")

    with pytest.raises(DemoError, match="refused"):
        _supervise(threading.Event(), module._in_background(fail))


def test_stopping_waits_a_little_for_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_END_S", 0.2)
    stop = threading.Event()
    stop.set()
    begun = time.monotonic()
    _supervise(stop, Future())
    assert time.monotonic() - begun < 30


def test_a_warehouse_that_restarts_is_waited_for_and_other_errors_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Exception] = [EngineUnreachable("restarting"), DemoError("odd")]

    def run_query(*_: Any) -> Any:
        raise answers.pop(0)

    monkeypatch.setattr(module, "run_query", run_query)
    with pytest.raises(DemoError, match="odd"):
        module._watch(Settings(), 1, threading.Event(), lambda _: None)
    assert answers == []


def test_a_demo_ends_on_a_signal_while_it_sends(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    folder = tmp_path / "demo"
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "demo", "--data", str(folder), "--port", str(port),
         "--scale", "3"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        env={name: v for name, v in os.environ.items() if not name.startswith("PENSTOCK_")},
    )  # fmt: skip
    log.close()
    try:
        deadline = time.monotonic() + 180
        while not list((folder / "journal").glob("received/0/*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "equals the simulator" not in told
