"""When a failed event is tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["Backoff", "retry_after"]


@dataclass(frozen=True)
class Backoff:
    """Waits that double from try to try, each drawn evenly from nothing to its length."""

    first: float = 2.0
    """Seconds: the longest wait after the first failure."""
    longest: float = 900.0
    """Seconds that no wait exceeds, unless the tool asked for more."""
    shortest: float = 0.1
    window: float = 4 * 3600.0
    """Seconds after the first failure for which it is tried at all."""

    def next_try(
        self,
        failures: int,
        since: float,
        now: float,
        random: Callable[[], float],
        asked: float | None = None,
    ) -> float | None:
        """The instant of the next try, or None when the window is over.

        ``failures`` counts from one; ``since`` is the instant of the first. ``asked`` is what the
        tool wants waited, in seconds; it is a lower bound, and the drawn wait is added so that
        not everybody comes at once. The last try is at the end of the window.
        """
        end = since + self.window
        if now >= end:
            return None
        ceiling = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        wait = max(self.shortest, ceiling * random()) + (asked or 0.0)
        return min(now + wait, end)


def retry_after(headers: Mapping[str, str], now: datetime, most: float = 3600.0) -> float | None:
    """Seconds that ``retry-after`` asks for, as a number or a date; at most ``most``.

    None when there is none, or it can't be read. Header names are in lower case.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - now).total_seconds()
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), most)
