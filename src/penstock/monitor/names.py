"""By which name an event is counted."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from penstock.events.model import CALLS
from penstock.events.validation import heal_surrogates
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS

__all__ = ["MOST_EVENTS", "OTHER", "UNKNOWN", "EventIds", "name_of", "name_of_refused", "named"]

MOST_EVENTS = 1_000
"""Names of a source that are counted apart; later ones are counted as ``$other``."""
OTHER = "$other"
UNKNOWN = "$unknown"
"""What was refused and says no event name."""
_LONGEST = 200


class _Named(msgspec.Struct, gc=False):
    type: Any = None
    event: Any = None


_decode = msgspec.json.Decoder(_Named).decode


def name_of(payload: bytes) -> str:
    """The event name of a track call, else ``$`` and the type, such as ``$identify``.

    A track call's own leading ``$`` is doubled.
    """
    try:
        read = _decode(payload)
    except msgspec.DecodeError:
        read = _read(payload)
    name: Any = read.event
    if read.type == "track" and type(name) is str and name[:1] != "$" and len(name) <= _LONGEST:
        return name or UNKNOWN
    return named(read.type, name)


def name_of_refused(original: bytes, path: str) -> str:
    """The same for what was refused, as far as it can be read; else ``$unknown``."""
    read = _read(original)
    call = POST_CALLS.get(path) or PIXEL_CALLS.get(path)
    return named(read.type if call in (None, "batch") else call, read.event)


def _read(payload: bytes) -> _Named:
    try:
        return _decode(payload)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _decode(heal_surrogates(payload))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _Named()


def named(kind: Any, event: Any) -> str:
    """The name for a call's ``type`` and ``event``; ``$unknown`` when they say nothing."""
    if kind == "track" or kind is None:
        if not isinstance(event, str) or not event:
            return UNKNOWN
        name = event[:_LONGEST]
        return f"${name}" if name.startswith("$") else name
    return f"${kind}" if kind in CALLS else UNKNOWN


class EventIds:
    """Ids of (source, name) in the store; new names get one while the source has room."""

    def __init__(self, connection: sqlite3.Connection, most: int = MOST_EVENTS) -> None:
        self._connection = connection
        self._most = most
        self._ids: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}

    def forget(self) -> None:
        """Read all again: what was written has been rolled back."""
        self._ids.clear()
        self._counts.clear()

    def of(self, source: str, name: str, at_us: int) -> int:
        """The id of a name, or that of ``$other``; called inside a transaction."""
        known = self._ids.get((source, name))
        if known is not None:
            return known
        row = self._connection.execute(
            "SELECT id FROM events WHERE source = ? AND event = ?", (source, name)
        ).fetchone()
        if row is None:
            if name != OTHER and self._count(source) >= self._most:
                return self.of(source, OTHER, at_us)
            self._counts[source] = self._count(source) + 1
            row = self._connection.execute(
                "INSERT INTO events VALUES (NULL, ?, ?, 0, 0, 0, 0, ?, ?) RETURNING id",
                (source, name, at_us, at_us),
            ).fetchone()
        self._ids[source, name] = int(row[0])
        return int(row[0])

    def is_other(self, source: str, event_id: int) -> bool:
        """Whether an id stands for all names beyond the most."""
        return self._ids.get((source, OTHER)) == event_id

    def _count(self, source: str) -> int:
        count = self._counts.get(source)
        if count is None:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM events WHERE source = ? AND event <> ?", (source, OTHER)
            ).fetchone()
            self._counts[source] = int(count)
        return int(count)
