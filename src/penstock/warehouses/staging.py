"""A chunk of events, flattened into columns of Python values.

This is the innermost loop of loading: each value of each event passes ``_flatten`` once.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT
from penstock.events.validation import heal_surrogates
from penstock.warehouses.naming import column_name, event_table
from penstock.warehouses.types import HugeNumber, Resolved

__all__ = [
    "TIMES",
    "Column",
    "Discard",
    "LoadedEvent",
    "Mention",
    "SourceStage",
    "TableStage",
    "decode_event",
    "is_routed",
]

TIMES = ("received_at", "sent_at", "original_timestamp", "timestamp")
_BASE = ("id", "anonymous_id", "user_id")
_RESERVED_ALWAYS = frozenset({*_BASE, *TIMES, "uuid_ts", "loaded_at"})
EXTRA_COLUMNS: dict[str, tuple[str, ...]] = {
    "track": ("event", "event_text"),
    "identify": (),
    "page": ("name", "category"),
    "screen": ("name", "category"),
    "group": ("group_id",),
    "alias": ("previous_id",),
}
"""Standard columns of a call's table beyond those of every table."""

CALL_TABLES = {
    "identify": "identifies",
    "page": "pages",
    "screen": "screens",
    "group": "groups",
    "alias": "aliases",
}
Discard = tuple[str, str, str, Any, str, str]
"""(table, row id, column, value, reason, received_at as text)."""


class LoadedEvent(msgspec.Struct, rename="camel", gc=False):
    """An event as the loader reads it."""

    type: str
    message_id: str
    received_at: str
    timestamp: str
    user_id: str | None = None
    anonymous_id: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    integrations: Raw = ABSENT
    original_timestamp: Any = None
    sent_at: Any = None


_decode = msgspec.json.Decoder(LoadedEvent).decode


def decode_event(payload: bytes) -> LoadedEvent:
    """Read a stored event; numbers of any size survive."""
    try:
        return _decode(payload)
    except msgspec.DecodeError:
        payload = heal_surrogates(payload)
        plain = json.loads(payload, parse_float=_float, parse_int=_int)
        integrations = plain.pop("integrations", None)
        event = msgspec.convert(plain, LoadedEvent)
        if integrations is not None:
            event.integrations = Raw(json.dumps(integrations).encode())
        return event


def _float(digits: str) -> float | HugeNumber:
    number = float(digits)
    return HugeNumber(digits) if number in (float("inf"), float("-inf")) else number


def _int(digits: str) -> int | HugeNumber:
    return HugeNumber(digits) if len(digits) > 309 else int(digits)


def is_routed(integrations: Raw, warehouse_id: str) -> bool:
    """Whether the event's ``integrations.Warehouses`` lets it into this warehouse."""
    if integrations is ABSENT or b"Warehouses" not in bytes(integrations):
        return True
    decoded = json.loads(bytes(integrations))
    flag = decoded.get("Warehouses") if isinstance(decoded, dict) else None
    if flag is False:
        return False
    if isinstance(flag, dict):
        if flag.get("all") is False or flag.get("All") is False:
            return False
        ids = flag.get("warehouseIds")
        if isinstance(ids, list):
            return warehouse_id in ids
    return True


class Column:
    """One column of a stage; rows beyond its last value have none."""

    __slots__ = ("context", "name", "raw", "reason", "resolved", "values")

    def __init__(self, name: str, raw: str, reason: str, context: bool) -> None:
        self.name = name
        self.raw = raw
        """Path of keys joined by dots, for what has no name."""
        self.reason = reason
        """Why its values go to ``discards`` instead of a column; empty for a real column."""
        self.context = context
        self.values: list[Any] = []
        self.resolved: Resolved | None = None

    def padded(self, rows: int) -> list[Any]:
        """The values of all rows."""
        behind = rows - len(self.values)
        if behind:
            self.values.extend([None] * behind)
        return self.values


class _Level:
    """What the keys of one object lead to."""

    __slots__ = ("below", "columns", "lists", "path")

    def __init__(self, path: tuple[str, ...]) -> None:
        self.path = path
        self.columns: dict[str, Column] = {}
        self.lists: dict[str, list[Any]] = {}
        """The values of each column, one step nearer for the inner loop."""
        self.below: dict[str, _Level] = {}

    def under(self, key: str) -> _Level:
        """The level of an object that stands under a key."""
        below = self.below.get(key)
        if below is None:
            below = self.below[key] = _Level((*self.path, key))
        return below


class TableStage:
    """The rows of one table in this chunk."""

    def __init__(self, table: str, call: str, *, own_table: bool = True) -> None:
        self.table = table
        self.call = call
        self.own_table = own_table
        """False for track calls whose event has no table: they are in ``tracks`` alone."""
        self.unnameable = not own_table and not table
        self.standard: list[tuple[Any, ...]] = []
        """(id, anonymous_id, user_id, received_at, sent_at, original_timestamp, timestamp,
        and the call's extra columns) of each row."""
        self.sequences: list[int] = []
        """Load order of each row within the chunk."""
        self.columns: dict[str, Column] = {}
        self.collisions: list[tuple[int, str, Any]] = []
        """(row, column, value that lost)."""
        self.overflow: dict[int, dict[str, Any]] = {}
        self.kept: list[tuple[int, tuple[Any, ...], LoadedEvent]] | None = None
        """What was added, while it is not certain that there is room for the table."""
        self._discarded: list[Column] = []
        self._reserved = _RESERVED_ALWAYS | set(EXTRA_COLUMNS[call])
        self._context = _Level(())
        self._properties = _Level(())

    @property
    def discard_table(self) -> str:
        """Name under which this call's discards stand."""
        return self.table if self.own_table else "tracks"

    def add(
        self, sequence: int, standard: tuple[Any, ...], event: LoadedEvent, *objects: Any
    ) -> None:
        """Add one row: context first, then properties or traits in the order given."""
        row = len(self.standard)
        self.standard.append(standard)
        self.sequences.append(sequence)
        if event.context:
            self._flatten(self._context, event.context, row, True)
        for properties in objects:
            if properties:
                self._flatten(self._properties, properties, row, False)

    def _flatten(self, level: _Level, values: dict[str, Any], row: int, context: bool) -> None:
        lists = level.lists
        for key, value in values.items():
            if type(value) is dict:
                if value:
                    self._flatten(level.under(key), value, row, context)
                continue
            try:
                held = lists[key]
            except KeyError:
                held = self._add_column(level, key, context)
            behind = row - len(held)
            if not behind:
                held.append(value)
            elif behind > 0:
                held += [None] * behind
                held.append(value)
            else:
                self._collide(level.columns[key], row, value)

    def _add_column(self, level: _Level, key: str, context: bool) -> list[Any]:
        column = level.columns[key] = self._column((*level.path, key), context)
        level.lists[key] = column.values
        return column.values

    def _collide(self, column: Column, row: int, value: Any) -> None:
        lost = column.values[row]
        if lost is not None:
            if column.reason:
                self.collisions.append((row, "", (column, lost)))
            else:
                self.collisions.append((row, column.name, lost))
        column.values[row] = value

    def _column(self, path: tuple[str, ...], context: bool) -> Column:
        raw = ".".join(path)
        name = column_name(path)
        if name and context:
            name = "context_" + name.removeprefix("_")
        reason = ""
        if not name:
            reason = "unnameable"
        elif not context:
            if self.unnameable:
                reason = "unnameable"
            elif name in self._reserved or name == "context" or name.startswith("context_"):
                reason = "reserved"
        if reason:
            column = Column(name or raw, raw, reason, context)
            self._discarded.append(column)
            return column
        known = self.columns.get(name)
        if known is None:
            known = self.columns[name] = Column(name, raw, "", context)
        return known

    def without_table(self) -> TableStage:
        """The same rows for ``tracks`` alone, their properties as they were sent."""
        stage = TableStage(self.table, self.call, own_table=False)
        for row, (sequence, standard, event) in enumerate(self.kept or ()):
            stage.add(sequence, standard, event)
            if event.properties:
                stage.overflow[row] = event.properties
        return stage

    def discards(self) -> Iterable[Discard]:
        """What has no column: unnameable, reserved and lost in collisions."""
        table = self.discard_table
        for column in self._discarded:
            for row, value in enumerate(column.values):
                if value is not None and not self._is_shown(column, row, value):
                    yield self._discard(table, row, column.name, value, column.reason)
        for row, name, lost in self.collisions:
            if name:
                yield self._discard(table, row, name, lost, "collision")
            else:
                column, value = lost
                yield self._discard(table, row, column.name, value, column.reason)

    def _is_shown(self, column: Column, row: int, value: Any) -> bool:
        """``properties.name`` of a page is no discard when it is the row's ``name``."""
        extra = EXTRA_COLUMNS[self.call]
        if column.raw not in ("name", "category") or column.name not in extra:
            return False
        shown: bool = self.standard[row][7 + extra.index(column.name)] == value
        return shown

    def _discard(self, table: str, row: int, column: str, value: Any, reason: str) -> Discard:
        standard = self.standard[row]
        return (table, standard[0], column, value, reason, standard[3])


class Mention:
    """What one identify or group call says of its user or account."""

    __slots__ = ("key", "received_at", "sequence", "values", "version")

    def __init__(
        self, sequence: int, key: str, version: tuple[str, str], received_at: str,
        values: dict[str, Any],
    ) -> None:  # fmt: skip
        self.sequence = sequence
        self.key = key
        self.version = version
        """(timestamp as text of fixed form, messageId)."""
        self.received_at = received_at
        self.values = values
        """Value by column; None was sent as null."""


class SourceStage:
    """The events of one source in this chunk."""

    def __init__(self, known_tables: Container[str]) -> None:
        self._known = known_tables
        self.tracks: dict[str, TableStage] = {}
        """Track calls by table, in the order of their first events; "" for unnameable ones."""
        self.calls: dict[str, TableStage] = {}
        """The other calls, by table."""
        self.mentions: dict[str, list[Mention]] = {"users": [], "accounts": []}
        self._by_event: dict[str, TableStage] = {}

    def add(self, sequence: int, event: LoadedEvent) -> None:
        """Stage one event; ``sequence`` is its place in the chunk."""
        base = (
            event.message_id,
            event.anonymous_id,
            event.user_id,
            event.received_at,
            event.sent_at,
            event.original_timestamp,
            event.timestamp,
        )
        call = event.type
        if call == "track":
            self._add_track(sequence, base, event)
            return
        table = CALL_TABLES[call]
        stage = self.calls.get(table)
        if stage is None:
            stage = self.calls[table] = TableStage(table, call)
        if call in ("page", "screen"):
            properties = event.properties or {}
            name = _or_text(event.name, properties.get("name"))
            category = _or_text(event.category, properties.get("category"))
            stage.add(sequence, (*base, name, category), event, properties)
        elif call == "identify":
            stage.add(sequence, base, event, event.traits)
            if event.user_id is not None:
                self._mention("users", event.user_id, sequence, event)
        elif call == "group":
            stage.add(sequence, (*base, event.group_id), event, event.traits)
            if event.group_id is not None:
                self._mention("accounts", event.group_id, sequence, event)
        else:
            stage.add(sequence, (*base, event.previous_id), event, event.traits, event.properties)

    def _add_track(self, sequence: int, base: tuple[Any, ...], event: LoadedEvent) -> None:
        name = event.event or ""
        stage = self._by_event.get(name)
        if stage is None:
            stage = self._by_event[name] = self._track_stage(name)
        standard = (*base, stage.table or None, name)
        stage.add(sequence, standard, event, event.properties)
        if stage.kept is not None:
            stage.kept.append((sequence, standard, event))

    def _track_stage(self, name: str) -> TableStage:
        table = event_table(name)
        stage = self.tracks.get(table)
        if stage is None:
            stage = self.tracks[table] = TableStage(table, "track", own_table=bool(table))
            if table and table not in self._known:
                stage.kept = []
        return stage

    def _mention(self, table: str, key: str, sequence: int, event: LoadedEvent) -> None:
        values: dict[str, Any] = {}
        reserved = _RESERVED_ALWAYS | set(EXTRA_COLUMNS[event.type])
        if event.context:
            self._collect(values, (), event.context, True, reserved)
        if event.traits:
            self._collect(values, (), event.traits, False, reserved)
        version = (_moment(event.timestamp), event.message_id)
        received = _moment(event.received_at)
        self.mentions[table].append(Mention(sequence, key, version, received, values))

    def _collect(
        self, into: dict[str, Any], path: tuple[str, ...], values: dict[str, Any], context: bool,
        reserved: frozenset[str],
    ) -> None:  # fmt: skip
        for key, value in values.items():
            below = (*path, key)
            if type(value) is dict:
                self._collect(into, below, value, context, reserved)
                continue
            name = column_name(below)
            if not name:
                continue
            if context:
                name = "context_" + name.removeprefix("_")
            elif name in reserved or name == "context" or name.startswith("context_"):
                continue
            into.pop(name, None)
            into[name] = value


def _moment(text: str) -> str:
    """An instant in a form whose order as text is its order in time, in UTC."""
    moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")


def _or_text(first: str | None, second: Any) -> str | None:
    if first is not None:
        return first
    return second if isinstance(second, str) else None
