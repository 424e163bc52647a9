"""How deliveries are sent and timed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import random as _random
from typing import Protocol

from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.sending.backoff import Backoff
from penstock.destinations.sending.outcome import Outcome, Performed

__all__ = ["Clocks", "Limits", "Patience", "Perform"]

_US = 1_000_000


class Perform(Protocol):
    """Sends the payloads of one mapping; never raises for what a tool answers."""

    def __call__(
        self, deliveries: Sequence[Delivery], gate: Callable[[], Awaitable[None]]
    ) -> Awaitable[Performed]:
        """One outcome for each delivery, in order. ``gate`` is awaited before each request."""


@dataclass(frozen=True)
class Clocks:
    """Where the time comes from."""

    steady: Callable[[], float]
    """Seconds, for waiting; never set."""
    us: Callable[[], int]
    """Microseconds since 1970, for what outlives the process."""


@dataclass(frozen=True)
class Limits:
    """How a destination is sent to."""

    concurrency: int
    window_s: float
    pending: int = 2_000
    """Deliveries in memory at most, or nearly so."""
    ordered: bool = False


class Patience:
    """When what failed is tried again, and when it is given up."""

    def __init__(
        self,
        clocks: Clocks,
        backoff: Backoff,
        window_s: float,
        random: Callable[[], float] = _random,
    ) -> None:
        self._clocks = clocks
        self._backoff = backoff
        self._window_us = int(window_s * _US)
        self._random = random

    def deadline_us(self, delivery: Delivery, failing_us: int) -> int:
        """When it is given up.

        The window begins with its first failure; for what was never tried because the tool is
        down, with the tool's, which is ``failing_us``.
        """
        since = delivery.first_us or self._clocks.us()
        if failing_us and not delivery.row:
            since = min(since, max(delivery.since_us, failing_us))
        return since + self._window_us

    def is_due(self, delivery: Delivery, now_us: int) -> bool:
        """Also when the clock was set back so far that it would wait for ever."""
        return not now_us < delivery.due_us <= now_us + int((self._backoff.longest + 3600) * _US)

    def note_failure(self, delivery: Delivery, outcome: Outcome) -> None:
        """Also when it is due again."""
        now_us = self._clocks.us()
        delivery.attempts += 1
        delivery.first_us = min(delivery.first_us or now_us, now_us)
        delivery.last = outcome
        due = self._backoff.next_try(
            delivery.attempts, delivery.first_us / _US, now_us / _US, self._random,
            outcome.retry_after,
        )  # fmt: skip
        delivery.due_us = now_us + 1 if due is None else int(due * _US)
