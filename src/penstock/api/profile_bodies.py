"""What the Profile API answers, and how fast it may be asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from penstock.profiles.observed import Observed
from penstock.profiles.reading.people import Id, TraitEntry

__all__ = [
    "A_SECOND",
    "Cursor",
    "EventPage",
    "IdPage",
    "LinkPage",
    "MetadataBody",
    "Pace",
    "ProfileErrorBody",
    "ProfileErrorFields",
    "TraitPage",
    "event_body",
    "id_body",
    "iso",
    "microseconds_of",
    "verbose_trait",
]

A_SECOND = 100
"""Requests, for each space."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WITH_PROPERTIES = ("track", "page", "screen")


class ProfileErrorFields(msgspec.Struct):
    """What went wrong."""

    code: str
    message: str


class ProfileErrorBody(msgspec.Struct):
    """The one shape of every error of the Profile API."""

    error: ProfileErrorFields


class Cursor(msgspec.Struct):
    """Where a page ends."""

    url: str
    has_more: bool
    next: str
    """Give it as ``next``; empty on the last page."""
    limit: int


class TraitPage(msgspec.Struct):
    """Traits by name; with ``verbose`` each is an object of value, source_id, updated_at."""

    traits: dict[str, Any]
    cursor: Cursor


class IdPage(msgspec.Struct):
    """External ids, oldest first."""

    data: list[dict[str, Any]]
    cursor: Cursor


class EventPage(msgspec.Struct):
    """Events."""

    data: list[dict[str, Any]]
    cursor: Cursor


class MetadataBody(msgspec.Struct):
    """What there was first and last."""

    metadata: dict[str, Any]


class LinkPage(msgspec.Struct):
    """What a profile is linked to; at most 20."""

    data: list[dict[str, Any]]
    cursor: Cursor


class Pace:
    """At most so many requests a second for each space; safe within one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic, most: int = A_SECOND) -> None:
        self._now = now
        self._most = most
        self._second: dict[str, tuple[int, int]] = {}

    def take(self, space: str) -> bool:
        """Whether there is room for one more."""
        second = int(self._now())
        at, count = self._second.get(space, (second, 0))
        count = count + 1 if at == second else 1
        if len(self._second) > 1_000:
            self._second.clear()
        self._second[space] = (second, count)
        return count <= self._most


def verbose_trait(one: TraitEntry) -> dict[str, Any]:
    """A trait with its source and time."""
    updated = None if one.updated_us is None else iso(one.updated_us)
    return {"value": one.value, "source_id": one.source, "updated_at": updated}


def id_body(one: Id) -> dict[str, Any]:
    """An external id."""
    return {
        "source_id": one.source,
        "collection": "users",
        "id": one.value,
        "type": one.type,
        "created_at": iso(one.attached_us),
        "encoding": "none",
        "first_message_id": one.message_id,
    }


def event_body(event: Observed, ids: list[dict[str, Any]], public_id: str) -> dict[str, Any]:
    """An event; of the ids of the person those that it named."""
    mine = {event.user_id, event.anonymous_id}
    return {
        "external_ids": [one for one in ids if one["id"] in mine],
        "context": event.raw_context,
        "type": event.type,
        "message_id": event.message_id,
        "source_id": event.source,
        "timestamp": iso(event.timestamp_us),
        "properties": event.raw_properties if event.type in _WITH_PROPERTIES else event.raw_traits,
        "event": event.name,
        "related": {"users": public_id},
    }


def iso(at_us: int) -> str:
    """Microseconds since 1970 UTC as ISO 8601, to the millisecond."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 1970; a moment without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)
