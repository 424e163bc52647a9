"""The embedded journal: SQLite files in the data folder.

``<folder>/<topic>/<partition>/<first position>.sqlite``, one file a day or a gigabyte, so that
retention drops files and erasure can rewrite one. Consumer positions are in ``positions.sqlite``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from penstock.errors import JournalDamaged, JournalError, JournalUnwritable
from penstock.journal.contract import Block, Gap, Reading
from penstock.journal.salvage import report
from penstock.journal.segment import COMPANIONS, Segment, companion, segments_of, sync_folder
from penstock.journal.writer import Clock, SegmentWriter

__all__ = ["SqliteJournal"]

log = logging.getLogger("penstock.journal")


def _now_us() -> int:
    return time.time_ns() // 1000


class SqliteJournal:
    """A Journal in a folder. See ``contract.Journal`` for what each method promises."""

    def __init__(
        self, folder: Path, *, segment_bytes: int = 1 << 30, clock: Clock = _now_us
    ) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._open: dict[Path, tuple[Path, int, Segment]] = {}
        """Of each partition's folder, the segment read last: its path and inode."""
        _make_durably(folder)
        self._positions = _open_positions(folder)

    def writer(self, topic: str, partition: int) -> SegmentWriter:
        """Open a partition for appending; see the contract."""
        folder = self._partition_folder(topic, partition)
        try:
            _make_durably(folder)
        except OSError as error:
            raise JournalUnwritable(f"{folder}: {error}") from error
        read_to = self._ask("SELECT max(next) FROM positions WHERE topic=? AND part=?",
                            topic, partition)  # fmt: skip
        return SegmentWriter(folder, read_to or 0, self._segment_bytes, self._clock)

    def partitions(self, topic: str) -> list[int]:
        """The partitions that were ever opened for appending, ascending."""
        try:
            names = os.listdir(self._folder / topic)  # noqa: PTH208 - called for each poll
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdigit())

    def start(self, topic: str, partition: int) -> int:
        """Position of the oldest event kept."""
        segments = segments_of(self._partition_folder(topic, partition))
        return segments[0][0] if segments else 0

    def end(self, topic: str, partition: int) -> int:
        """Position after the newest event."""
        segments = segments_of(self._partition_folder(topic, partition))
        return self._segment(segments[-1][1]).end() if segments else 0

    def read(self, topic: str, partition: int, position: int, max_events: int) -> Reading:
        """Blocks from a position on; see the contract."""
        for _ in range(3):
            try:
                return self._read(topic, partition, position, max_events)
            except FileNotFoundError:
                continue  # retention dropped a segment since the folder was listed
        raise JournalError(f"segments of {topic}/{partition} keep vanishing")

    def _read(self, topic: str, partition: int, position: int, max_events: int) -> Reading:
        blocks: list[Block] = []
        gaps: list[Gap] = []
        segments = segments_of(self._partition_folder(topic, partition))
        try:
            for found in self._walk(segments, position):
                if isinstance(found, Gap):
                    gaps.append(found)
                else:
                    blocks.append(found)
                    max_events -= found.count
                position = found.end
                if max_events <= 0:
                    break
        except JournalDamaged:
            if not blocks and not gaps:
                raise
        return Reading(blocks, _merged(gaps), position)

    def _walk(self, segments: list[tuple[int, Path]], position: int) -> Iterator[Block | Gap]:
        """Every position from one on, without a hole."""
        if segments and position < segments[0][0]:
            yield Gap(position, segments[0][0], "expired")
            position = segments[0][0]
        for index, (first, path) in enumerate(segments):
            limit = segments[index + 1][0] if index + 1 < len(segments) else None
            if limit is not None and position >= limit:
                continue
            for block in self._blocks(path, max(position, first), limit):
                if block.first > position:
                    yield Gap(position, block.first, "damaged")
                yield block
                position = block.end
            if limit is not None and position < limit:
                yield Gap(position, limit, "damaged")
                position = limit

    def _blocks(self, path: Path, position: int, limit: int | None) -> Iterator[Block]:
        """The blocks of one segment, past damage inside it.

        Raises JournalDamaged when nothing follows the damage and the segment is the newest: its
        writer may yet write on, and mends it when it is opened next.
        """
        bound = 1 << 62 if limit is None else limit
        try:
            segment = self._segment(path)
            while True:
                try:
                    for block in segment.read(position, bound):
                        yield block
                        position = block.end
                    return
                except JournalDamaged as damage:
                    log.error("journal damaged from position %d: %s", position, str(damage))
                    following = segment.starts_after(position)
                    if following is None or following >= bound:
                        raise
                    position = following
        except JournalDamaged:
            if limit is None:
                raise

    def position(self, consumer: str, topic: str, partition: int) -> int:
        """Where a consumer said it reads on; 0 at first."""
        found = self._ask(
            "SELECT next FROM positions WHERE consumer=? AND topic=? AND part=?",
            consumer, topic, partition,
        )  # fmt: skip
        return found or 0

    def commit(self, consumer: str, topic: str, partition: int, position: int) -> None:
        """Remember where a consumer reads on."""
        self._ask(
            "INSERT OR REPLACE INTO positions VALUES (?,?,?,?)",
            consumer, topic, partition, position,
        )  # fmt: skip

    def forget(self, consumer: str, topic: str) -> None:
        """A consumer reads a topic no more; see the contract."""
        self._ask("DELETE FROM positions WHERE consumer=? AND topic=?", consumer, topic)

    def _ask(self, query: str, *values: str | int) -> Any:
        """The first column of the first row, if any."""
        try:
            row = self._positions.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise JournalUnwritable(f"{self._folder / _POSITIONS}: {error}") from error
        return None if row is None else row[0]

    def expire(self, topic: str, age: timedelta, max_bytes: int) -> list[str]:
        """Drop old segments; see the contract."""
        oldest = self._clock() - int(age.total_seconds() * 1_000_000)
        excess = self.size(topic) - max_bytes if max_bytes else 0
        dropped: list[str] = []
        while True:
            candidates = [c for p in self.partitions(topic) if (c := self._oldest(topic, p))]
            if not candidates:
                return dropped
            candidate = min(candidates, key=lambda c: (c.unread_from is not None, c.created_us))
            by_age = candidate.created_us < oldest and candidate.unread_from is None
            if not by_age and excess <= 0:
                return dropped
            excess -= _bytes(candidate.path)
            self._drop(candidate.path)
            dropped.append(f"{candidate} by {'age' if by_age else 'size'}")

    def _oldest(self, topic: str, partition: int) -> _Candidate | None:
        """The oldest segment of a partition, unless it is the one being written."""
        segments = segments_of(self._partition_folder(topic, partition))
        if len(segments) < 2:
            return None
        (first, path), (following, _) = segments[:2]
        # A consumer that reads this topic, but nothing of this partition yet, needs all of it
        needed = self._ask(
            "SELECT min(next) FROM (SELECT coalesce((SELECT next FROM positions WHERE consumer = "
            "c.consumer AND topic = c.topic AND part = ?), 0) AS next "
            "FROM (SELECT DISTINCT consumer, topic FROM positions WHERE topic = ?) AS c)",
            partition, topic,
        )  # fmt: skip
        unread_from = None if needed is None or needed >= following else max(needed, first)
        try:
            created_us = self._segment(path).last_created_us()
        except JournalDamaged:
            created_us = int(path.stat().st_mtime * 1_000_000)
        name = f"{topic}/{partition}"
        return _Candidate(name, first, following, path, created_us, unread_from)

    def size(self, topic: str) -> int:
        """Bytes a topic takes on disk."""
        return sum(
            _bytes(path)
            for partition in self.partitions(topic)
            for _, path in segments_of(self._partition_folder(topic, partition))
        )

    def close(self) -> None:
        """Close everything this object opened, except writers."""
        for _, _, segment in self._open.values():
            segment.close()
        self._open.clear()
        self._positions.close()

    def _partition_folder(self, topic: str, partition: int) -> Path:
        return self._folder / topic / str(partition)

    def _segment(self, path: Path) -> Segment:
        """The open segment of a path; reopened when the file was replaced.

        One is kept open for each partition, so that dropped files don't hold their space.
        """
        inode = path.stat().st_ino
        known = self._open.get(path.parent)
        if known is not None:
            if known[:2] == (path, inode):
                return known[2]
            del self._open[path.parent]
            known[2].close()
        segment = Segment(path)
        self._open[path.parent] = (path, inode, segment)
        return segment

    def _drop(self, path: Path) -> None:
        known = self._open.pop(path.parent, None)
        if known is not None:
            known[2].close()
        for suffix in ("", *COMPANIONS):
            companion(path, suffix).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Candidate:
    """A segment that retention may drop next."""

    partition: str
    first: int
    end: int
    path: Path
    created_us: int
    """Of its newest block."""
    unread_from: int | None

    def __str__(self) -> str:
        text = f"{self.partition} {self.first}..{self.end}"
        if self.unread_from is not None:
            text += f", of which unread from {self.unread_from}: expired_unread,"
        return text


_POSITIONS = "positions.sqlite"


def _open_positions(folder: Path) -> sqlite3.Connection:
    """The consumers' positions; a file that can't be read is set aside and a new one begun.

    Consumers keep positions of their own with what they made of the events; these here only keep
    retention from passing them and lost positions from being used again.
    """
    path = folder / _POSITIONS
    try:
        return _connect_positions(path)
    except sqlite3.OperationalError as error:
        raise JournalUnwritable(f"{path}: {error}") from error
    except sqlite3.DatabaseError:
        pass
    with (folder / "positions.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return _connect_positions(path)  # another process was faster
        except sqlite3.DatabaseError as error:
            aside = path.with_suffix(f".damaged-{time.time_ns()}")
            for suffix in ("", *COMPANIONS):
                if companion(path, suffix).exists():
                    companion(path, suffix).rename(companion(aside, suffix))
            report(folder, path, f"{error}; original is {aside.name}")
        return _connect_positions(path)


def _connect_positions(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS positions (consumer TEXT, topic TEXT, part INTEGER, "
            "next INTEGER NOT NULL, PRIMARY KEY (consumer, topic, part)) WITHOUT ROWID"
        )
        connection.execute("SELECT max(next) FROM positions").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make_durably(folder: Path) -> None:
    """Make a folder and those above it so that they survive a power cut."""
    if folder.is_dir():
        return
    _make_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _bytes(path: Path) -> int:
    """Bytes of a segment and its companions; 0 for what is gone."""
    found = 0
    for suffix in ("", *COMPANIONS):
        try:
            found += companion(path, suffix).stat().st_size
        except FileNotFoundError:
            continue
    return found


def _merged(gaps: list[Gap]) -> list[Gap]:
    merged: list[Gap] = []
    for gap in gaps:
        if merged and merged[-1].end == gap.first and merged[-1].reason == gap.reason:
            merged[-1] = Gap(merged[-1].first, gap.end, gap.reason)
        else:
            merged.append(gap)
    return merged
