"""Watching a Penstock under load: what it loaded, and what memory and processor time it takes."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path

from penstock.engine import Engine
from penstock.errors import EngineUnreachable, PenstockError
from penstock.settings import Settings
from penstock.warehouses.service import query_engine

__all__ = ["Memory", "Progress", "cpu_seconds", "loaded_events", "memory_mb"]

_PATIENCE_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def loaded_events(settings: Settings) -> int:
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


class Progress:
    """Watches how many events the warehouse holds, and since when."""

    def __init__(self, settings: Settings) -> None:
        self.count = loaded_events(settings)
        self._settings = settings
        self._history: list[tuple[int, float]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            count = loaded_events(self._settings)
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
        return self._history[bisect_left(self._history, (count, 0.0))][1]

    def longest_pause(self, since: float) -> float:
        """Longest time in seconds between two loads, by ``time.perf_counter`` from then on."""
        times = [since, *(at for _, at in self._history if at > since)]
        return max(later - earlier for earlier, later in pairwise([*times, time.perf_counter()]))

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join()


class Memory:
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
