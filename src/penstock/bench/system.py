"""The whole of Penstock, in its own processes, under load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from penstock.bench.client import Flood
from penstock.bench.events import batch_body, single_body, templates
from penstock.engine import Engine
from penstock.errors import EngineUnreachable, PenstockError
from penstock.events.model import Source
from penstock.settings import Settings
from penstock.warehouses.service import query_engine
from penstock.workspace.store import Workspace

__all__ = ["Accepting", "EndToEnd", "accepting", "at_rest", "end_to_end", "freshness"]

_KEY = "bench-key"
_TABLES = 60
_PATIENCE_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Accepting:
    """Durable accepts of one collector."""

    wall: float
    """Events a second."""
    per_core: float
    """Events a second of the collector's processor time."""


@dataclass
class EndToEnd:
    """Events queryable a second, and memory on the way."""

    rate: float
    seconds: float
    memory_mb: dict[str, list[float]] = field(default_factory=dict)
    """Memory of each process (proportional set size), sampled every five seconds."""


@contextmanager
def running(folder: Path) -> Iterator[tuple[Engine, Settings]]:
    """A fresh engine with one source, its log in the folder."""
    settings = _settings(folder)
    log = os.open(folder / "engine.log", os.O_CREAT | os.O_WRONLY, 0o600)
    engine = Engine(settings, say=lambda _: None, log_fd=log)
    engine.start()
    try:
        _wait_for_port(settings.port)
        _loaded(settings)
        yield engine, settings
    finally:
        engine.stop()
        os.close(log)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise PenstockError(f"the collector did not come up: {error}") from error
            time.sleep(0.05)
        else:
            return


def _loaded(settings: Settings) -> int:
    """Events in the warehouse."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            rows = query_engine(
                settings.socket_file,
                "select coalesce(sum(loaded), 0)::bigint from penstock.progress",
                None,
                30,
            )
            return int(rows.column(0)[0].as_py())
        except EngineUnreachable:  # it is just starting
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Proportional set size of a process: what it alone has, and its share of the rest."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    pss = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


def accepting(folder: Path, *, batch: int, connections: int, seconds: float) -> Accepting:
    """Durable accepts through HTTP: single events, or batches."""
    with running(folder) as (engine, settings):
        cut = templates(_TABLES)
        flood = Flood(
            settings.port,
            "/v1/batch" if batch > 1 else "/v1/track",
            _KEY,
            (lambda first, count: batch_body(cut, first, count, "a"))
            if batch > 1
            else (lambda first, _: single_body(cut, first, "a")),
            count=batch,
            connections=connections,
        )
        # Only the collector is measured; what reads after it would compete for the processors.
        engine.pause(("process", "warehouse"))
        try:
            pid = engine.processes()["collector-0"]
            flood.run(1.0)
            before, cpu = flood.accepted, cpu_seconds(pid)
            spent = flood.run(seconds)
            done, used = flood.accepted - before, cpu_seconds(pid) - cpu
        finally:
            engine.resume(("process", "warehouse"))
            flood.close()
    return Accepting(done / spent, done / used)


def end_to_end(folder: Path, seconds: float, most_waiting: int = 150_000) -> EndToEnd:
    """From HTTP to queryable rows, as fast as it goes without more than so many waiting."""
    with running(folder) as (engine, settings):
        loaded = _Progress(settings)
        cut = templates(_TABLES)
        flood = Flood(
            settings.port, "/v1/batch", _KEY,
            lambda first, count: batch_body(cut, first, count, "e"), count=100, connections=8,
        )  # fmt: skip
        flood.run(5.0, lambda _: loaded.count + most_waiting)
        memory = _Memory(engine)
        began, before = time.perf_counter(), loaded.count
        flood.run(seconds, lambda _: loaded.count + most_waiting)
        spent, done = time.perf_counter() - began, loaded.count - before
        memory.stop()
        flood.close()
        loaded.wait(flood.accepted)
        loaded.stop()
    return EndToEnd(done / spent, spent, memory.samples)


def freshness(folder: Path, per_second: int, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile of seconds from answer to queryable, at a steady pace."""
    accepted: list[tuple[int, float]] = []
    with running(folder) as (_, settings):
        loaded = _Progress(settings)
        cut = templates(_TABLES)
        flood = Flood(
            settings.port, "/v1/batch", _KEY,
            lambda first, count: batch_body(cut, first, count, "f"), count=50, connections=4,
            accepted=lambda first, count, at: accepted.append((flood.accepted, at)),
        )  # fmt: skip
        flood.run(3.0, lambda elapsed: int(elapsed * per_second))
        start = flood.sent
        first = flood.accepted
        flood.run(seconds, lambda elapsed: start + int(elapsed * per_second))
        flood.close()
        loaded.wait(flood.accepted)
        loaded.stop()
    delays = sorted(
        delay
        for end, at in accepted
        if end > first and (delay := loaded.when(end) - at) is not None
    )
    return delays[len(delays) // 2], delays[int(len(delays) * 0.99)]


def at_rest(folder: Path) -> dict[str, float]:
    """Memory in MB of every process of ``penstock up``, a few seconds after some events."""
    settings = _settings(folder)
    command = [sys.executable, "-m", "penstock", "up", "--data", str(folder), "--port"]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen([*command, str(settings.port)], stdout=log, stderr=log)
    try:
        _wait_for_port(settings.port)
        cut = templates(_TABLES)
        flood = Flood(
            settings.port, "/v1/batch", _KEY,
            lambda first, count: batch_body(cut, first, count, "r"), count=50, connections=1,
        )  # fmt: skip
        flood.run(1.0, lambda _: 1_000)
        flood.close()
        while _loaded(settings) < flood.accepted:
            time.sleep(0.1)
        time.sleep(3)
        tasks = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text(encoding="ascii")
        pids = {"supervisor": up.pid} | {_role(int(pid)): int(pid) for pid in tasks.split()}
        return {label: memory_mb(pid) for label, pid in pids.items()}
    finally:
        up.terminate()
        up.wait()


def _role(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[words.index(b"penstock.roles") + 1].decode()


def _settings(folder: Path) -> Settings:
    """Settings with a free port, and a workspace with one source."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workspace = Workspace(Settings(data=folder).state_file)
    workspace.put_sources([Source("bench", "Bench", "server", write_keys=(_KEY,))])
    workspace.close()
    return Settings(data=folder, host="127.0.0.1", port=port)


class _Progress:
    """Watches how many events the warehouse holds, and since when."""

    def __init__(self, settings: Settings) -> None:
        self.count = _loaded(settings)
        self._settings = settings
        self._history: list[tuple[int, float]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            count = _loaded(self._settings)
            if count != self.count:
                self._history.append((count, time.perf_counter()))
                self.count = count
            self._stopping.wait(0.05)

    def wait(self, count: int) -> None:
        """Wait until so many are in."""
        latest, since = self.count, time.monotonic()
        while self.count < count:
            time.sleep(0.05)
            if self.count != latest:
                latest, since = self.count, time.monotonic()
            elif time.monotonic() - since > _PATIENCE_S:
                raise PenstockError(f"loading stopped at {self.count:,} of {count:,} events")

    def when(self, count: int) -> float:
        """When so many were first seen."""
        import bisect

        return self._history[bisect.bisect_left(self._history, (count, 0.0))][1]

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join()


class _Memory:
    """Samples the memory of every process every five seconds."""

    def __init__(self, engine: Engine) -> None:
        self.samples: dict[str, list[float]] = {}
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while True:
            for label, pid in self._engine.processes().items():
                self.samples.setdefault(label, []).append(memory_mb(pid))
            if self._stopping.wait(5):
                return

    def stop(self) -> None:
        """Stop sampling."""
        self._stopping.set()
        self._thread.join()
