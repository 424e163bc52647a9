"""What can be asked of deliveries: the rows that commands, the API and the monitor show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = [
    "BROKEN",
    "DEAD",
    "DELIVERED",
    "DELIVERING",
    "DISCARDED",
    "EXPIRED",
    "FAILED",
    "FILTERED",
    "FULL",
    "RETRIED",
    "RETRYING",
    "STOPPED",
    "Count",
    "DeadLetter",
    "Figures",
    "Gone",
    "LedgerSum",
    "Overview",
    "ReplayState",
    "Sample",
]

DELIVERED = "delivered"
FILTERED = "filtered"
RETRIED = "retried"
"""An attempt failed; another one follows."""
FAILED = "failed"
"""Given up after the window of retries."""
DISCARDED = "discarded"
"""Refused in a way that another attempt can't change."""
DEAD = (FAILED, DISCARDED)

DELIVERING = "delivering"
RETRYING = "retrying"
"""It delivers, and some events wait to be tried again."""
BROKEN = "broken"
"""Nothing gets through: the breaker is open, events wait in the journal, probes are sent."""
FULL = "full"
"""The retry table is full: events wait in the journal until there is room."""
STOPPED = "stopped"
"""Disabled, removed, or its setup can't be used; the reason says which."""
EXPIRED = "expired"
"""Positions that the journal no longer has."""


@dataclass(frozen=True)
class Overview:
    """One destination at a glance; figures of the last 24 hours unless they say otherwise."""

    destination: str
    state: str
    """delivering, retrying, broken, full or stopped."""
    reason: str
    """Of a state that is not delivering."""
    delivered: int
    filtered: int
    retried: int
    failed: int
    discarded: int
    waiting: int
    """In the retry table now."""
    dead: int
    """Kept as dead letters now."""
    behind: int
    """Events of the journal not passed yet, when it was looked at last."""
    p95_seconds: float | None
    """From receipt to the tool's answer; None when nothing was delivered."""
    broken_since: datetime | None


@dataclass(frozen=True)
class Count:
    """Events of one outcome in a stretch of time."""

    at: datetime
    """Beginning, UTC. Older than seven days there are only whole hours."""
    destination: str
    action: str
    """Empty for what was decided before the mappings."""
    step: str
    """delivered, filtered, retried, failed or discarded."""
    code: str
    count: int


@dataclass(frozen=True)
class Sample:
    """One event with an outcome, as an example of all with the same."""

    destination: str
    action: str
    step: str
    code: str
    at: datetime
    message_id: str
    event: str
    """Name, or ``$`` and the call."""
    reason: str
    request: str | None
    """Secrets masked, cut to a bounded length; so is the answer."""
    answer: str | None


@dataclass(frozen=True)
class DeadLetter:
    """Events that were given up for one reason.

    The first of each reason stand alone, with request and answer; of what comes in bulk one letter
    stands for many, by position only. Their payloads are in the journal for as long as it keeps
    them.
    """

    id: int
    destination: str
    action: str
    kind: str
    """failed or discarded."""
    code: str
    reason: str
    count: int
    at: datetime
    """When they were given up, UTC."""
    retrying: bool
    """Whether a retry was asked for and is under way."""
    message_id: str
    """Of the first event."""
    event: str
    request: str | None
    answer: str | None
    replay: int | None
    """The replay they failed in, if any."""


@dataclass(frozen=True)
class ReplayState:
    """A replay as it stands; the counts are deliveries, of which an event may have several."""

    id: int
    destination: str
    start: datetime
    end: datetime
    events: list[str]
    """Names, or calls such as ``$identify``; empty: all."""
    sources: list[str]
    state: str
    """waiting, running, done, cancelled or failed."""
    reason: str
    requested: datetime
    finished: datetime | None
    progress: float
    """The part of the journal's range that was looked at, from 0 to 1."""
    selected: int
    """Events within the range and of those names."""
    delivered: int
    filtered: int
    waiting: int
    dead: int


@dataclass(frozen=True)
class LedgerSum:
    """What became of the events of a destination that it has passed, by source and hour."""

    destination: str
    source: str
    hour: int
    """Hours since 1970 UTC."""
    more: int
    """Deliveries beyond one for each event: an event may match several mappings."""
    delivered: int
    filtered: int
    waiting: int
    dead: int


@dataclass(frozen=True)
class Figures:
    """A destination as the deliver role sees it, since it started."""

    destination: str
    state: str
    behind: int
    waiting: int
    steps: dict[str, int]
    """Outcomes by step."""


@dataclass(frozen=True)
class Gone:
    """Positions that a destination could not read."""

    destination: str
    part: int
    first: int
    end: int
    reason: str
    """expired or damaged."""
    at: datetime
