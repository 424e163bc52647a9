"""What a destination's route says of an event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock.destinations.contract import Action, Batch, Call, Payload, Steps

__all__ = [
    "BY_CONSENT",
    "BY_FUNCTION",
    "BY_INTEGRATIONS",
    "BY_RULES",
    "CLIENT_SIDE",
    "FUNCTION",
    "NOT_MAPPED",
    "NO_MAPPING",
    "OTHER_SOURCE",
    "PLACES",
    "Mapped",
    "NotPassed",
    "NotYet",
    "Planned",
    "Routed",
    "Unsendable",
]

BY_INTEGRATIONS = "FILTERED_BY_INTEGRATIONS_OBJECT"
BY_CONSENT = "FILTERED_BY_END_USER_CONSENT"
BY_RULES = "FILTERED_BY_RULES"
BY_FUNCTION = "FILTERED_BY_FUNCTION"
CLIENT_SIDE = "MESSAGE_SENT_CLIENT_SIDE"
NO_MAPPING = "NO_MATCHING_MAPPING"
NOT_MAPPED = "FILTERED_AT_MAPPING"
OTHER_SOURCE = "OTHER_SOURCE"
"""The destination is not connected to the event's source; no outcome that is shown."""
PLACES = 1_000
"""Places of mappings for each event that a function makes of one."""
Event = dict[str, Any]


@dataclass(frozen=True)
class Mapped:
    """A mapping, compiled."""

    place: int
    """Its number in the setup, from 0."""
    action: Action
    sync_mode: str
    batch: Batch | None
    """None: one payload a call."""
    matches: Callable[[Event], bool]
    make: Callable[[Event], Payload]


class Planned(NamedTuple):
    """A payload for an action."""

    place: int
    """Of the mapping; what a function made of one event counts on from ``PLACES``."""
    mapped: Mapped
    payload: Payload


@dataclass(frozen=True)
class Unsendable:
    """A payload that a mapping could not make."""

    place: int
    mapped: Mapped
    code: str
    reason: str
    skipped: bool
    """Whether that is right: there is nothing to send."""
    later: bool = False
    """Whether it is to be made again after a while."""


class Routed(NamedTuple):
    """What becomes of one event at one destination: something to do, or a reason why not."""

    planned: Sequence[Planned] = ()
    unsendable: Sequence[Unsendable] = ()
    reason: str = ""
    """Given when there is neither."""


class NotYet(Exception):
    """What functions make of an event is not known yet; they are at it."""

    def __init__(self, then: Callable[[Callable[[], None]], None]) -> None:
        """``then`` takes what is called, in the same event loop, when it is known."""
        super().__init__("functions are at it")
        self.then = then


class NotPassed(Exception):
    """An event did not pass the functions."""

    def __init__(self, code: str, reason: str, *, later: bool) -> None:
        """``later``: whether it may pass after a while."""
        super().__init__(reason)
        self.code = code
        self.later = later


def _nothing(_: Call) -> Steps:
    """Stands where a function failed; it is never sent."""
    yield from ()
    return None


FUNCTION = Mapped(
    0, Action("$function", "Function", _nothing), "", None, lambda _: False, lambda _: {}
)
"""The mapping of an event that did not pass the functions, so that none of the others is known."""
