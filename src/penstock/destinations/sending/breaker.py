"""Stops sending to a tool that is down, and feels whether it is back."""

from __future__ import annotations

import random as _random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Breaker", "BreakerPolicy", "BreakerState"]

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and how often it then lets a request through."""

    consecutive: int = 5
    """Failures in a row that open it."""
    rate: float = 0.5
    """Part of the recent requests whose failure opens it."""
    least: int = 20
    """Recent requests below which the part says nothing."""
    recent: float = 60.0
    """Seconds that count as recent."""
    probe: float = 5.0
    """Seconds from opening to the first probe."""
    growth: float = 2.0
    """By how much the time between probes grows with each that fails."""
    longest: float = 60.0
    """Seconds between probes at most."""
    jitter: float = 0.2
    """Part of the time by which it varies, so that many do not probe together."""
    patience: float = 120.0
    """Seconds after which a probe that reported nothing is given up."""


class Breaker:
    """One per destination. Not thread-safe.

    Ask ``allow`` before each request, and ``record`` its result. While it is open one probe goes
    out per interval; the first that succeeds closes it.
    """

    def __init__(
        self,
        policy: BreakerPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._policy = policy or BreakerPolicy()
        self._clock = clock
        self._random = random
        self._state: BreakerState = "closed"
        self._in_a_row = 0
        self._recent: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._probes = 0
        self._next = 0.0

    @property
    def state(self) -> BreakerState:
        """closed: everything passes; open: nothing does; half_open: a probe is out."""
        return self._state

    def allow(self) -> bool:
        """Whether a request may go out now. When open, a yes makes it the probe."""
        if self._state == "closed":
            return True
        now = self._clock()
        if now < self._next:
            return False
        self._state = "half_open"
        self._next = now + self._policy.patience
        return True

    def wait(self) -> float:
        """Seconds until ``allow`` may say yes; 0 when it would now."""
        return 0.0 if self._state == "closed" else max(0.0, self._next - self._clock())

    def record(self, ok: bool) -> None:
        """What became of a request: whether the tool answered it as one that works.

        A refusal of one event (4xx) is an answer: ``ok``.
        """
        if self._state == "half_open":
            self._close() if ok else self._open()
        elif self._state == "closed":
            self._count(ok)
            if self._is_down():
                self._probes = 0
                self._open()

    def _count(self, ok: bool) -> None:
        now = self._clock()
        self._in_a_row = 0 if ok else self._in_a_row + 1
        self._recent.append((now, ok))
        self._failed += not ok
        while self._recent[0][0] < now - self._policy.recent or len(self._recent) > 10_000:
            self._failed -= not self._recent.popleft()[1]

    def _is_down(self) -> bool:
        if self._in_a_row >= self._policy.consecutive:
            return True
        seen = len(self._recent)
        return seen >= self._policy.least and self._failed / seen >= self._policy.rate

    def _open(self) -> None:
        policy = self._policy
        interval = min(policy.longest, policy.probe * policy.growth ** min(self._probes, 60))
        self._probes += 1
        self._state = "open"
        self._next = self._clock() + interval * (1 + policy.jitter * self._random())

    def _close(self) -> None:
        self._state = "closed"
        self._in_a_row = self._failed = 0
        self._recent.clear()
