"""To which segment each event of a stretch of the journal belongs."""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["Assigned", "packed"]


def packed(segments: Sequence[int]) -> bytes:
    """Segments of events that follow each other, 0 for none, as ``assignments`` has them."""
    return zlib.compress(array("q", segments).tobytes(), 1)


class Assigned:
    """The segments of a stretch."""

    def __init__(self, connection: sqlite3.Connection, part: int, first: int, end: int) -> None:
        rows = connection.execute(
            "SELECT first, segments FROM assignments WHERE part = ? AND first < ?"
            " AND first + count > ? ORDER BY first",
            (part, end, first),
        ).fetchall()
        self._firsts = [row[0] for row in rows]
        self._segments = [array("q", zlib.decompress(row[1])) for row in rows]

    def at(self, place: int) -> int:
        """The segment of the event at a place; 0 when it belongs to none."""
        index = bisect_right(self._firsts, place) - 1
        if index < 0:
            return 0
        offset = place - self._firsts[index]
        found = self._segments[index]
        return found[offset] if offset < len(found) else 0
