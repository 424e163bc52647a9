"""The schema catalogue: events and their properties, as they were really sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from penstock.monitor.shape import MOST_EXAMPLES, PLACES, TYPES, PropertyTally, Shapes
from penstock.monitor.store import MonitorStore

__all__ = ["MOST_PATHS", "CatalogueWriter", "EventShape", "PropertyShape", "catalogue"]

MOST_PATHS = 500
"""Properties of an event that are listed, and as many traits, and context fields."""
_MOST_KNOWN = 20_000
_TYPES = ", ".join(f'"{name}"' for name in TYPES)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True)
class PropertyShape:
    """One property, trait or context field of an event."""

    place: str
    """properties, traits or context."""
    path: str
    """Keys joined by dots; ``$`` stands for the items of an array."""
    count: int
    """Values seen in the events that were examined."""
    types: dict[str, int]
    """Values by type, most frequent first; types not seen are left out."""
    first_seen: datetime
    last_seen: datetime
    examples: tuple[str, ...]
    """Up to three; ``***`` for what is personal or may be."""


@dataclass(frozen=True)
class EventShape:
    """One event of a source, or call such as ``$identify``."""

    source: str
    """Slug, or empty for what came without a valid write key."""
    event: str
    count: int
    """Stored; exact."""
    rejected: int
    """Exact."""
    examined: int
    """Events whose properties were looked at: all of them unless there were many a second."""
    unlisted: int
    """Values of the examined events that have no line, because there are too many paths."""
    first_seen: datetime
    last_seen: datetime
    properties: tuple[PropertyShape, ...]
    """Ordered by place and path."""

    @property
    def sampled(self) -> bool:
        """Whether counts of properties are of a part of the events."""
        return self.examined < self.count


@dataclass
class _Known:
    id: int
    examples: list[str]


class CatalogueWriter:
    """Adds what was seen to the store, inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, most_paths: int = MOST_PATHS) -> None:
        self._connection = connection
        self._most = most_paths
        self._known: dict[tuple[int, str, str], _Known] = {}
        self._paths: dict[tuple[int, str], int] = {}
        """Paths listed, by event and place."""

    def forget(self) -> None:
        """Read all again: what was written has been rolled back."""
        self._known.clear()
        self._paths.clear()

    def add(self, event: int, shapes: Shapes) -> None:
        """Add what the examined events of one name looked like."""
        if len(self._known) > _MOST_KNOWN:
            self.forget()
        unlisted = shapes.unlisted
        rows = []
        for (place, path), tally in shapes.properties.items():
            known = self._find(event, place, path, tally)
            if known is None:
                unlisted += tally.count
                continue
            self._merge_examples(known, tally.examples)
            rows.append(
                (tally.count, *tally.types.values(), tally.first_us, tally.last_us, known.id)
            )
        sums = ", ".join(f'"{name}" = "{name}" + ?' for name in TYPES)
        self._connection.executemany(
            f"UPDATE properties SET count = count + ?, {sums}, first_us = min(first_us, ?), "
            "last_us = max(last_us, ?) WHERE id = ?",
            rows,
        )
        self._connection.execute(
            "UPDATE events SET examined = examined + ?, unlisted = unlisted + ? WHERE id = ?",
            (shapes.examined, unlisted, event),
        )

    def _find(self, event: int, place: str, path: str, tally: PropertyTally) -> _Known | None:
        """The row of a path, made if there is room; None when there is none."""
        key = (event, place, path)
        known = self._known.get(key)
        if known is not None:
            return known
        row = self._connection.execute(
            "SELECT id, examples FROM properties WHERE event = ? AND place = ? AND path = ?", key
        ).fetchone()
        if row is None:
            if self._listed(event, place) >= self._most:
                return None
            self._paths[event, place] += 1
            row = self._connection.execute(
                f"INSERT INTO properties (event, place, path, count, {_TYPES}, first_us, last_us, "
                f"examples) VALUES (?, ?, ?, 0, {', '.join('0' for _ in TYPES)}, ?, ?, '[]') "
                "RETURNING id, examples",
                (*key, tally.first_us, tally.last_us),
            ).fetchone()
        known = self._known[key] = _Known(row[0], _decode(row[1]))
        return known

    def _listed(self, event: int, place: str) -> int:
        count = self._paths.get((event, place))
        if count is None:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM properties WHERE event = ? AND place = ?", (event, place)
            ).fetchone()
            self._paths[event, place] = int(count)
        return int(count)

    def _merge_examples(self, known: _Known, seen: Iterable[str]) -> None:
        fresh = [text for text in seen if text not in known.examples]
        if not fresh or len(known.examples) >= MOST_EXAMPLES:
            return
        known.examples = [*known.examples, *fresh][:MOST_EXAMPLES]
        self._connection.execute(
            "UPDATE properties SET examples = ? WHERE id = ?",
            (_encode(known.examples).decode(), known.id),
        )


def catalogue(
    store: MonitorStore, source: str | None = None, event: str | None = None
) -> list[EventShape]:
    """The events of all sources, or of one, by source and name, with their properties."""
    found = store.connection.execute(
        "SELECT id, source, event, count, rejected, examined, unlisted, first_us, last_us "
        "FROM events WHERE (?1 IS NULL OR source = ?1) AND (?2 IS NULL OR event = ?2) "
        "AND count + rejected > 0 ORDER BY source, event",
        (source, event),
    ).fetchall()
    return [_event_shape(store, *row) for row in found]


def _event_shape(
    store: MonitorStore, event: int, source: str, name: str, *facts: int
) -> EventShape:
    count, rejected, examined, unlisted, first_us, last_us = facts
    return EventShape(
        source, name, count, rejected, examined, unlisted,
        _instant(first_us), _instant(last_us), _properties(store, event),
    )  # fmt: skip


def _properties(store: MonitorStore, event: int) -> tuple[PropertyShape, ...]:
    found = store.connection.execute(
        f"SELECT place, path, count, first_us, last_us, examples, {_TYPES} FROM properties "
        "WHERE event = ? ORDER BY path",
        (event,),
    )
    shapes = [
        PropertyShape(
            place,
            path,
            count,
            _by_count(dict(zip(TYPES, types, strict=True))),
            _instant(first_us),
            _instant(last_us),
            tuple(_decode(examples)),
        )
        for place, path, count, first_us, last_us, examples, *types in found
    ]
    return tuple(sorted(shapes, key=lambda shape: PLACES.index(shape.place)))


def _by_count(types: dict[str, int]) -> dict[str, int]:
    ordered = sorted(types.items(), key=lambda item: (-item[1], TYPES.index(item[0])))
    return {name: count for name, count in ordered if count}


def _instant(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)
