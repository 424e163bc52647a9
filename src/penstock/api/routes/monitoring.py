"""What the monitor counted: the schema catalogue, volumes, and the loss ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from litestar.params import Parameter

from penstock.api.errors import ApiError
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.monitor.catalogue import EventShape, PropertyShape, catalogue
from penstock.monitor.delivered import DeliveryRow, delivery_rows
from penstock.monitor.ledger import LedgerRow, ledger_holes, ledger_rows
from penstock.monitor.volumes import volumes

__all__ = ["HANDLERS"]

_TAG = "monitor"
_MOST_STEPS = {"minute": timedelta(days=2), "hour": timedelta(days=31), "day": timedelta(days=366)}
_DEFAULT_SPAN = {
    "minute": timedelta(hours=1),
    "hour": timedelta(days=1),
    "day": timedelta(days=30),
}
BySource = Annotated[str | None, Parameter(max_length=63, description="Slug of a source.")]
ByEvent = Annotated[str | None, Parameter(max_length=1000, description="Name of an event.")]


class PropertyBody(msgspec.Struct):
    """One property, trait or context field of an event."""

    place: str
    """properties, traits or context."""
    path: str
    """Keys joined by dots; `$` stands for the items of an array."""
    count: int
    types: dict[str, int]
    first_seen: datetime
    last_seen: datetime
    examples: list[str]
    """`***` for what is personal or may be."""


class EventBody(msgspec.Struct):
    """One event of a source."""

    source: str
    event: str
    count: int
    rejected: int
    sampled: bool
    """Whether counts of properties are of a part of the events."""
    examined: int
    unlisted: int
    first_seen: datetime
    last_seen: datetime
    properties: list[PropertyBody]


class Catalogue(msgspec.Struct):
    """Events by source and name."""

    items: list[EventBody]


class VolumeBody(msgspec.Struct):
    """Events of one name and outcome in a stretch of time."""

    at: datetime
    seconds: int
    """Length of the stretch."""
    source: str
    event: str
    outcome: str
    """`stored`, or `rejected:` and a code."""
    count: int


class Volumes(msgspec.Struct):
    """By time, source, name and outcome; what is not listed is 0."""

    start: datetime
    end: datetime
    items: list[VolumeBody]


class LedgerBody(msgspec.Struct):
    """One source and hour; see Durability in the documentation."""

    source: str
    hour: datetime
    accepted: int
    refused: int
    read: int
    duplicate: int
    stored: int
    rejected: int
    confirmed: int
    loaded: int
    filtered: int
    discarded: int
    removed: int
    """Dropped or refused by functions on the source."""
    added: int
    """Made by them, beyond one event of one."""
    waiting: int
    missing: dict[str, int]
    """Events lost (below zero: doubled) by stage; empty when the hour balances."""


class DeliveryLedgerBody(msgspec.Struct):
    """One destination, source and hour."""

    destination: str
    source: str
    hour: datetime
    passed: int
    """Of what was stored, what the destination has passed."""
    more: int
    """Deliveries beyond one for each event, where it matches several mappings."""
    delivered: int
    filtered: int
    waiting: int
    dead: int
    missing: int
    """Events lost; below zero: doubled."""


class HoleBody(msgspec.Struct):
    """Positions of a partition of `received` of which no later stage told anything."""

    partition: int
    first: int
    end: int


class LedgerList(msgspec.Struct):
    """The ledger, oldest hour first."""

    balanced: bool
    """Whether nothing of what is listed is missing, and there are no holes."""
    items: list[LedgerBody]
    deliveries: list[DeliveryLedgerBody]
    holes: list[HoleBody]


@route("GET", "/schema", "status:read", tag=_TAG)
def show_schema(services: Given, source: BySource = None, event: ByEvent = None) -> Catalogue:
    """Show which events were really sent, with their properties, types and example values."""
    with services.monitor() as store:
        return Catalogue([_event(shape) for shape in catalogue(store, source, event)])


def _event(shape: EventShape) -> EventBody:
    return EventBody(
        source=shape.source,
        event=shape.event,
        count=shape.count,
        rejected=shape.rejected,
        sampled=shape.sampled,
        examined=shape.examined,
        unlisted=shape.unlisted,
        first_seen=shape.first_seen,
        last_seen=shape.last_seen,
        properties=[_property(each) for each in shape.properties],
    )


def _property(shape: PropertyShape) -> PropertyBody:
    return PropertyBody(shape.place, shape.path, shape.count, shape.types, shape.first_seen,
                        shape.last_seen, list(shape.examples))  # fmt: skip


@route("GET", "/volumes", "status:read", tag=_TAG)
def show_volumes(
    services: Given,
    start: Annotated[datetime | None, Parameter(description="Default: depends on `by`.")] = None,
    end: Annotated[datetime | None, Parameter(description="Default: now.")] = None,
    source: BySource = None,
    event: ByEvent = None,
    by: Annotated[
        Literal["minute", "hour", "day"], Parameter(description="Length of a stretch.")
    ] = "minute",
) -> Volumes:
    """Show how many events came, by time, source, name and outcome."""
    last = _aware("end", end) or datetime.now(UTC)
    first = _aware("start", start) or last - _DEFAULT_SPAN[by]
    if first >= last:
        raise ApiError("invalid_request", "query start: before end")
    if last - first > _MOST_STEPS[by]:
        raise ApiError(
            "invalid_request", f"query start: at most {_MOST_STEPS[by].days} days by {by}"
        )
    with services.monitor() as store:
        found = volumes(store, start=first, end=last, source=source, event=event, by=by)
    return Volumes(
        first,
        last,
        [
            VolumeBody(each.at, int(each.span.total_seconds()), each.source, each.event,
                       each.outcome, each.count)
            for each in found
        ],
    )  # fmt: skip


def _aware(name: str, moment: datetime | None) -> datetime | None:
    """A moment that says its distance from UTC, or is in UTC; no nearer to the ends of time."""
    if moment is None:
        return None
    if not 1970 < moment.year < 9000:
        raise ApiError("invalid_request", f"query {name}: between the years 1971 and 8999")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@route("GET", "/ledger", "status:read", tag=_TAG)
def show_ledger(
    services: Given,
    since: Annotated[
        datetime | None, Parameter(description="First hour. Default: a day ago.")
    ] = None,
    source: BySource = None,
    unbalanced: Annotated[
        bool, Parameter(description="Only hours in which something is missing.")
    ] = False,
) -> LedgerList:
    """Prove hour by hour that what was accepted was stored, loaded and delivered."""
    first = _aware("since", since) or datetime.now(UTC) - timedelta(days=1)
    with services.monitor() as store:
        rows = ledger_rows(store.connection, since=first, source=source, unbalanced=unbalanced)
        holes = ledger_holes(store.connection)
        deliveries = delivery_rows(
            store.connection, since=first, source=source, unbalanced=unbalanced
        )
    return LedgerList(
        balanced=not holes
        and not any(row.missing for row in rows)
        and not any(row.missing for row in deliveries),
        items=[_ledger(row) for row in rows],
        deliveries=[_delivery(row) for row in deliveries],
        holes=[HoleBody(hole.partition, hole.first, hole.end) for hole in holes],
    )


def _delivery(row: DeliveryRow) -> DeliveryLedgerBody:
    names = DeliveryLedgerBody.__struct_fields__
    return DeliveryLedgerBody(**{name: getattr(row, name) for name in names})


def _ledger(row: LedgerRow) -> LedgerBody:
    values = {name: getattr(row, name) for name in LedgerBody.__struct_fields__}
    return LedgerBody(**values)


HANDLERS = [show_schema, show_volumes, show_ledger]
