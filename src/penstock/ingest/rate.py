"""How many events a source may send: a token bucket for each source that has a limit."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from penstock.events.model import Source

__all__ = ["BURST_S", "RateLimited", "RateLimits"]

BURST_S = 10.0
"""A source that was silent may send what it may send in so many seconds at once."""


class RateLimited(Exception):
    """A source has sent more than its share; the text is for its sender."""

    def __init__(self, source: Source, seconds: int) -> None:
        super().__init__(
            f"source {source.slug} may send {source.rate_limit} events per second; "
            f"send again in {seconds} s"
        )
        self.seconds = seconds
        """Until there is room for one event."""


class _Bucket:
    __slots__ = ("at", "burst", "level", "limit", "rate")

    def __init__(self, limit: int, workers: int, now: float) -> None:
        self.limit = limit
        self.rate = limit / workers
        self.burst = max(self.rate * BURST_S, 1.0)
        self.level = self.burst
        self.at = now

    def fill(self, now: float) -> None:
        self.level = min(self.level + (now - self.at) * self.rate, self.burst)
        self.at = now


class RateLimits:
    """The buckets of one collector worker, each with its part of the source's limit.

    A request is let in while there is room for one event, and then its events are taken out
    however many they are: what a batch takes too much, the next ones wait for. So no batch is too
    large to ever be let in, and over time the rate is kept.
    """

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self.turned_away: Counter[str] = Counter()
        """Requests answered 429, by slug of the source."""

    @property
    def any(self) -> bool:
        """Whether a source with a limit has sent something."""
        return bool(self._buckets)

    def check(self, source: Source) -> None:
        """Raises RateLimited when the source has sent its share; takes nothing."""
        limit = source.rate_limit
        if limit is None:
            self._buckets.pop(source.slug, None)
            return
        now = self._clock()
        bucket = self._buckets.get(source.slug)
        if bucket is None or bucket.limit != limit:
            bucket = self._buckets[source.slug] = _Bucket(limit, self._workers, now)
        bucket.fill(now)
        if bucket.level < 1:
            self.turned_away[source.slug] += 1
            raise RateLimited(source, math.ceil((1 - bucket.level) / bucket.rate))

    def take(self, slug: str, events: int) -> None:
        """Count events of a request that was let in."""
        bucket = self._buckets.get(slug)
        if bucket is not None:
            bucket.level -= events
