"""Reading the stores without changing anything, whatever state they are in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import zstandard

from penstock.events.model import RejectedRecord
from penstock.journal.contract import REJECTED, TOPICS
from penstock.journal.segment import companion, segments_of

__all__ = [
    "Waiting",
    "newest_receipt_us",
    "newest_rejected",
    "newest_segments",
    "opened",
    "positions",
    "rows",
    "waiting",
]

_BLOCKS = 50
_decode = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


def opened(path: Path) -> sqlite3.Connection:
    """A connection that can't write. Raises sqlite3.Error.

    A database whose write-ahead file is empty or not there is taken as it stands: SQLite would
    else change or leave files beside it.
    """
    wal = companion(path, "-wal")
    in_use = wal.exists() and wal.stat().st_size > 0
    how = "mode=ro" if in_use else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=5)


def rows(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a query. Raises sqlite3.Error."""
    with closing(opened(path)) as connection:
        return connection.execute(query, values).fetchall()


def newest_segments(journal: Path) -> Iterator[tuple[str, int, Path]]:
    """(topic, partition, file) of the newest journal file of each partition."""
    for topic in TOPICS:
        folder = journal / topic
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        for name in filter(str.isdigit, names):
            found = segments_of(folder / name)
            if found:
                yield topic, int(name), found[-1][1]


def newest_receipt_us(journal: Path) -> int:
    """When the newest block of the journal was written, microseconds since 1970; 0 for none."""
    newest = 0
    for _, _, path in newest_segments(journal):
        for (created_us,) in _tried(
            path, "SELECT created_us FROM blocks ORDER BY first DESC LIMIT 1"
        ):
            newest = max(newest, int(created_us))
    return newest


def positions(journal: Path) -> dict[tuple[str, str, int], int]:
    """Where each reader is, by (reader, topic, partition)."""
    path = journal / "positions.sqlite"
    if not path.exists():
        return {}
    found = _tried(path, "SELECT consumer, topic, part, next FROM positions")
    return {(reader, topic, part): following for reader, topic, part, following in found}


@dataclass(frozen=True)
class Waiting:
    """What a reader has before it."""

    events: int
    oldest_us: int | None
    """When the oldest of them was written; None when there is none."""


def waiting(journal: Path, reader: str, topic: str) -> Waiting:
    """What a reader has not read of a topic."""
    reached = positions(journal)
    events, oldest = 0, []
    for _, part, newest in (found for found in newest_segments(journal) if found[0] == topic):
        end = _tried(newest, "SELECT max(first + count) FROM blocks")
        segments = segments_of(newest.parent)
        position = max(reached.get((reader, topic, part), 0), segments[0][0])
        behind = int((end and end[0][0]) or int(newest.stem)) - position
        if behind <= 0:
            continue
        events += behind
        holding = max((s for s in segments if s[0] <= position), default=segments[0])[1]
        oldest += _tried(
            holding,
            "SELECT created_us FROM blocks WHERE first + count > ? ORDER BY first LIMIT 1",
            position,
        )
    return Waiting(events, min((int(row[0]) for row in oldest), default=None))


def newest_rejected(journal: Path) -> list[RejectedRecord]:
    """The newest entries of ``rejected``, as far as they can be read."""
    found: list[RejectedRecord] = []
    unpack = zstandard.ZstdDecompressor().decompress
    for topic, _, path in newest_segments(journal):
        if topic != REJECTED:
            continue
        for (body,) in _tried(path, f"SELECT body FROM blocks ORDER BY first DESC LIMIT {_BLOCKS}"):
            try:
                found += _decode(unpack(body))
            except (zstandard.ZstdError, msgspec.MsgspecError):
                continue
    return found


def _tried(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows, or none of a file that can't be read; the check of formats tells of that."""
    try:
        return rows(path, query, *values)
    except sqlite3.Error:
        return []
