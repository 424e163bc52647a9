"""The status for many who ask: read at most once a second, with rates since the time before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from penstock.monitor.status import Status

__all__ = ["StatusBoard"]

_FRESH_S = 1.0
_LONGEST_S = 10.0
Read = Callable[[bool], Status]


class StatusBoard:
    """Reads the status when it is asked for."""

    def __init__(self, read: Read, now: Callable[[], float] = time.monotonic) -> None:
        """``read`` is told whether to wait a second for the rates; else it leaves them at 0."""
        self._read = read
        self._now = now
        self._lock = threading.Lock()
        self._at = 0.0
        self._status: Status | None = None

    def status(self) -> Status:
        """The status of now, or of a second ago."""
        with self._lock:
            before, age = self._status, self._now() - self._at
            if before is not None and age < _FRESH_S:
                return before
            if before is None or age > _LONGEST_S:
                self._status = self._read(True)
            else:
                self._status = _rated(before, self._read(False), age)
            self._at = self._now()
            return self._status


def _rated(before: Status, after: Status, seconds: float) -> Status:
    """The status with the rates of the time between two."""
    loaded = None
    if before.loaded is not None and after.loaded is not None:
        loaded = (after.loaded - before.loaded) / seconds
    received = (after.received - before.received) / seconds
    return replace(after, running=True, received_per_s=received, loaded_per_s=loaded)
