"""Owners of ids, kept in memory."""

from __future__ import annotations

import sqlite3

__all__ = ["Owners"]

_QUERY = (
    "SELECT s.profile FROM ids i JOIN segments s ON s.id = i.segment"
    " WHERE i.value = ? AND i.type = ? AND i.removed_us IS NULL"
)


class Owners:
    """The profile of each id: those asked for lately, in two generations.

    When the young one is full the old one is dropped and the young one grows old, so that an id
    that is asked for again and again stays, at the cost of a plain dictionary.
    """

    def __init__(self, connection: sqlite3.Connection, capacity: int) -> None:
        self._connection = connection
        self._half = max(capacity // 2, 1)
        self._young: dict[tuple[str, str], int] = {}
        self._old: dict[tuple[str, str], int] = {}

    def of(self, kind: str, value: str) -> int | None:
        """The profile that owns an id, or None."""
        key = (kind, value)
        found = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is None:
            row = self._connection.execute(_QUERY, (value, kind)).fetchone()
            if row is None:
                return None
            found = int(row[0])
        self.put(kind, value, found)
        return found

    def put(self, kind: str, value: str, profile: int) -> None:
        """An id belongs to this profile now."""
        self._young[(kind, value)] = profile
        if len(self._young) > self._half:
            self._old = self._young
            self._young = {}

    def clear(self) -> None:
        """Forget all: the tables count."""
        self._young.clear()
        self._old.clear()
