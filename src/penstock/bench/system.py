"""The whole of Penstock, in its own processes, under load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from penstock.bench.client import Flood
from penstock.bench.events import batch_body, single_body, templates
from penstock.bench.watching import Memory, Progress, cpu_seconds, loaded_events, memory_mb
from penstock.engine import Engine
from penstock.errors import PenstockError
from penstock.events.model import Source
from penstock.settings import Settings
from penstock.workspace.store import Workspace

__all__ = [
    "KEY",
    "TABLES",
    "Accepting",
    "EndToEnd",
    "accepting",
    "at_rest",
    "end_to_end",
    "engine_settings",
    "freshness",
    "running",
    "wait_for_port",
]

KEY = "bench-key"
TABLES = 60
_PATIENCE_S = 60.0
_READERS = ("process", "warehouse", "monitor", "api")


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
    settings = engine_settings(folder)
    log = os.open(folder / "engine.log", os.O_CREAT | os.O_WRONLY, 0o600)
    engine = Engine(settings, say=lambda _: None, log_fd=log)
    engine.start()
    try:
        wait_for_port(settings.port)
        loaded_events(settings)
        yield engine, settings
    finally:
        engine.stop()
        os.close(log)


def wait_for_port(port: int) -> None:
    """Wait until something listens there."""
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


def accepting(folder: Path, *, batch: int, connections: int, seconds: float) -> Accepting:
    """Durable accepts through HTTP: single events, or batches."""
    with running(folder) as (engine, settings):
        cut = templates(TABLES)
        flood = Flood(
            settings.port,
            "/v1/batch" if batch > 1 else "/v1/track",
            KEY,
            (lambda first, count: batch_body(cut, first, count, "a"))
            if batch > 1
            else (lambda first, _: single_body(cut, first, "a")),
            count=batch,
            connections=connections,
        )
        # Only the collector is measured; what reads after it would compete for the processors.
        engine.pause(_READERS)
        try:
            pid = engine.processes()["collector-0"]
            flood.run(1.0)
            before, cpu = flood.accepted, cpu_seconds(pid)
            spent = flood.run(seconds)
            done, used = flood.accepted - before, cpu_seconds(pid) - cpu
        finally:
            engine.resume(_READERS)
            flood.close()
    return Accepting(done / spent, done / used)


def end_to_end(folder: Path, seconds: float, most_waiting: int = 150_000) -> EndToEnd:
    """From HTTP to queryable rows, as fast as it goes without more than so many waiting."""
    with running(folder) as (engine, settings):
        loaded = Progress(settings)
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
            lambda first, count: batch_body(cut, first, count, "e"), count=100, connections=8,
        )  # fmt: skip
        flood.run(5.0, lambda _: loaded.count + most_waiting)
        memory = Memory(engine)
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
        loaded = Progress(settings)
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
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
    settings = engine_settings(folder)
    command = [sys.executable, "-m", "penstock", "up", "--data", str(folder)]
    command += ["--port", str(settings.port), "--console-port", str(settings.console_port)]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_port(settings.port)
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
            lambda first, count: batch_body(cut, first, count, "r"), count=50, connections=1,
        )  # fmt: skip
        flood.run(1.0, lambda _: 1_000)
        flood.close()
        while loaded_events(settings) < flood.accepted:
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


def engine_settings(folder: Path) -> Settings:
    """Settings with a free port, and a workspace with one source."""
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, console_port = probe.getsockname()[1], other.getsockname()[1]
    workspace = Workspace(Settings(data=folder).state_file)
    workspace.put_sources([Source("bench", "Bench", "server", write_keys=(KEY,))])
    workspace.close()
    return Settings(data=folder, host="127.0.0.1", port=port, console_port=console_port)
