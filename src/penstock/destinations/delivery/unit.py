"""One event for one mapping: what is delivered, retried, or given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from penstock.destinations.contract import Payload
from penstock.destinations.routed import Mapped
from penstock.destinations.sending.outcome import Outcome
from penstock.events.model import Record

__all__ = ["Delivery", "Event", "Owner", "plan"]

Event = dict[str, Any]


class Owner(Protocol):
    """Who gave a delivery to the pipeline, and is told what became of it."""

    def settled(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """It is over: ``step`` is delivered, filtered, failed or discarded."""

    def parked(self, delivery: Delivery, due_us: int) -> None:
        """It goes, or stays, in the retry table until it is due; the pipeline forgets it."""


@dataclass(slots=True, eq=False)
class Delivery:
    """An event and a mapping, on the way."""

    owner: Owner
    part: int
    position: int
    place: int
    """Of the mapping; see ``route.Planned``."""
    mapped: Mapped
    payload: Payload
    source: str
    received_us: int
    message_id: str
    event: str
    """Its name, or ``$`` and the call."""
    person: str
    """Whose event it is, where order is kept; else empty."""
    since_us: int = 0
    """From when on it could be delivered: its receipt, or when a replay came to it."""
    attempts: int = 0
    first_us: int = 0
    """When it failed first; 0: it did not yet."""
    due_us: int = 0
    row: int = 0
    """In the retry table; 0: it is not there."""
    replay: int = 0
    """The replay it belongs to; 0: none."""
    last: Outcome | None = None
    """Of the latest attempt that failed."""


def plan(
    owner: Owner,
    part: int,
    position: int,
    record: Record,
    event: Event,
    place: int,
    mapped: Mapped,
    *,
    ordered: bool,
    replay: int,
) -> Delivery:
    """A delivery without its payload."""
    name = event.get("event")
    call = event.get("type")
    return Delivery(
        owner, part, position, place, mapped, {}, record.source, record.received_us,
        record.message_id,
        name if call == "track" and isinstance(name, str) else f"${call}",
        str(event.get("userId") or event.get("anonymousId") or "") if ordered else "",
        replay=replay,
    )  # fmt: skip
