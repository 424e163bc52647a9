"""How many requests a second may go out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ["TokenBucket"]


class TokenBucket:
    """Lets so many requests through a second, and a burst of up to one second's worth.

    Who asks first goes first: each caller takes its token at once, on credit, and sleeps until the
    token would have been there.
    """

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``rate`` is per second; 0 lets everything through."""
        self._rate = rate
        self._burst = max(1.0, rate if burst is None else burst)
        self._clock = clock
        self._sleep = sleep
        self._tokens = self._burst
        self._at = clock()

    async def take(self) -> None:
        """Return when one request may go out. A caller that is cancelled gives its token back."""
        wait = self.reserve()
        if wait <= 0:
            return
        try:
            await self._sleep(wait)
        except asyncio.CancelledError:
            self._tokens += 1
            raise

    def reserve(self) -> float:
        """Take a token, and say in how many seconds it may be used."""
        now = self._clock()
        pause = max(0.0, self._at - now)
        if self._rate <= 0:
            return pause
        if not pause:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        self._tokens -= 1
        return pause + max(0.0, -self._tokens / self._rate)

    def hold(self, seconds: float) -> None:
        """Let nothing new through for so long: the tool asked for it."""
        now = self._clock()
        if self._rate > 0 and now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = max(self._at, now + seconds)
