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
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from penstock.errors import JournalDamaged, JournalError, JournalUnwritable
from penstock.journal.contract import Block, Gap, NewBlock, Reading
from penstock.journal.salvage import cut_torn_wal, mend, tail_is_sound
from penstock.journal.segment import Segment, create_segment, segment_name

__all__ = ["SqliteJournal"]

log = logging.getLogger("penstock.journal")
Clock = Callable[[], int]
_DAY_US = 86_400_000_000


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
        self._open: dict[Path, tuple[int, Segment]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._positions = sqlite3.connect(
            folder / "positions.sqlite", isolation_level=None, timeout=30, check_same_thread=False
        )
        self._positions.execute("PRAGMA journal_mode=WAL")
        self._positions.execute("PRAGMA synchronous=NORMAL")
        self._positions.execute(
            "CREATE TABLE IF NOT EXISTS positions (consumer TEXT, topic TEXT, part INTEGER, "
            "next INTEGER NOT NULL, PRIMARY KEY (consumer, topic, part)) WITHOUT ROWID"
        )

    def writer(self, topic: str, partition: int) -> _Writer:
        """Open a partition for appending; see the contract."""
        folder = self._partition_folder(topic, partition)
        folder.mkdir(parents=True, exist_ok=True)
        row = self._positions.execute(
            "SELECT max(next) FROM positions WHERE topic=? AND part=?", (topic, partition)
        ).fetchone()
        return _Writer(folder, row[0] or 0, self._segment_bytes, self._clock)

    def partitions(self, topic: str) -> list[int]:
        """The partitions that hold or held events, ascending."""
        folder = self._folder / topic
        if not folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())

    def start(self, topic: str, partition: int) -> int:
        """Position of the oldest event kept."""
        segments = _segments(self._partition_folder(topic, partition))
        return segments[0][0] if segments else 0

    def end(self, topic: str, partition: int) -> int:
        """Position after the newest event."""
        segments = _segments(self._partition_folder(topic, partition))
        return self._segment(segments[-1][1]).end() if segments else 0

    def read(self, topic: str, partition: int, position: int, max_events: int) -> Reading:
        """Blocks from a position on; see the contract."""
        segments = _segments(self._partition_folder(topic, partition))
        if not segments:
            return Reading(next=position)
        blocks: list[Block] = []
        gaps: list[Gap] = []
        if position < segments[0][0]:
            gaps.append(Gap(position, segments[0][0], "expired"))
            position = segments[0][0]
        for index, (first, path) in enumerate(segments):
            last = index + 1 == len(segments)
            limit = None if last else segments[index + 1][0]
            if limit is not None and position >= limit:
                continue
            for block in self._blocks(path, max(position, first), limit, gaps):
                if block.first > position:
                    gaps.append(Gap(position, block.first, "damaged"))
                blocks.append(block)
                position = block.end
                max_events -= block.count
                if max_events <= 0:
                    return Reading(blocks, _merged(gaps), position)
            if limit is not None and position < limit:
                gaps.append(Gap(position, limit, "damaged"))
                position = limit
        return Reading(blocks, _merged(gaps), position)

    def _blocks(
        self, path: Path, position: int, limit: int | None, gaps: list[Gap]
    ) -> Iterator[Block]:
        """The blocks of one segment, past damage inside it."""
        try:
            segment = self._segment(path)
            bound = limit if limit is not None else 1 << 62
            while True:
                try:
                    for block in segment.read(position, bound):
                        yield block
                        position = block.end
                    return
                except JournalDamaged as damage:
                    following = segment.starts_after(position)
                    if following is None or following >= bound:
                        following = limit if limit is not None else segment.end()
                    if following <= position:
                        raise
                    log.error(
                        "journal damaged, positions %d to %d: %s", position, following, damage
                    )
                    position = following
        except JournalDamaged as damage:
            if limit is None:
                raise
            log.error("journal damaged from position %d: %s", position, damage)

    def position(self, consumer: str, topic: str, partition: int) -> int:
        """Where a consumer said it reads on; 0 at first."""
        row = self._positions.execute(
            "SELECT next FROM positions WHERE consumer=? AND topic=? AND part=?",
            (consumer, topic, partition),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def commit(self, consumer: str, topic: str, partition: int, position: int) -> None:
        """Remember where a consumer reads on."""
        self._positions.execute(
            "INSERT OR REPLACE INTO positions VALUES (?,?,?,?)",
            (consumer, topic, partition, position),
        )

    def expire(self, topic: str, age: timedelta, max_bytes: int) -> list[str]:
        """Drop old segments; see the contract."""
        dropped: list[str] = []
        oldest = self._clock() - int(age.total_seconds() * 1_000_000)
        excess = self.size(topic) - max_bytes if max_bytes else 0
        for partition in self.partitions(topic):
            needed = self._least_position(topic, partition)
            segments = _segments(self._partition_folder(topic, partition))
            for (first, path), (following, _) in zip(segments, segments[1:], strict=False):
                read_by_all = needed is None or needed >= following
                old = self._segment(path).last_created_us() < oldest
                if not (excess > 0 or (old and read_by_all)):
                    break
                size = _file_bytes(path)
                excess -= size
                why = "age" if old and read_by_all else "size"
                unread = "" if read_by_all else f", of which unread from {needed}: expired_unread"
                dropped.append(f"{topic}/{partition} {first}..{following} by {why}{unread}")
                self._drop(path)
        return dropped

    def _least_position(self, topic: str, partition: int) -> int | None:
        row = self._positions.execute(
            "SELECT min(next) FROM positions WHERE topic=? AND part=?", (topic, partition)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def size(self, topic: str) -> int:
        """Bytes a topic takes on disk."""
        folder = self._folder / topic
        return sum(entry.stat().st_size for entry in folder.rglob("*.sqlite*") if entry.is_file())

    def close(self) -> None:
        """Close everything this object opened, except writers."""
        for _, segment in self._open.values():
            segment.close()
        self._open.clear()
        self._positions.close()

    def _partition_folder(self, topic: str, partition: int) -> Path:
        return self._folder / topic / str(partition)

    def _segment(self, path: Path) -> Segment:
        """The open segment of a path; reopened when the file was replaced."""
        try:
            inode = path.stat().st_ino
        except FileNotFoundError as error:
            raise JournalError(f"{path} was dropped while it was read") from error
        known = self._open.get(path)
        if known is not None and known[0] == inode:
            return known[1]
        if known is not None:
            known[1].close()
        segment = Segment(path)
        self._open[path] = (inode, segment)
        while len(self._open) > 64:
            oldest = next(iter(self._open))
            self._open.pop(oldest)[1].close()
        return segment

    def _drop(self, path: Path) -> None:
        known = self._open.pop(path, None)
        if known is not None:
            known[1].close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


class _Writer:
    """The writer of one partition, holding its lock."""

    def __init__(self, folder: Path, reserved: int, segment_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._lock = (folder / "writer.lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise JournalError(f"{folder} already has a writer") from error
        self._segment: Segment | None = None
        self._producers: dict[str, int] = {}
        self._created_us = 0
        self._end = reserved
        self._recover(reserved)

    def _recover(self, reserved: int) -> None:
        segments = _segments(self._folder)
        if not segments:
            return
        path = segments[-1][1]
        claimed = 0
        torn = cut_torn_wal(path)
        if torn is not None:
            log.error("%s", torn)
        if not tail_is_sound(path):
            claimed = mend(path)
        segment = Segment(path)
        self._segment = segment
        self._end = max(segment.end(), reserved, claimed)
        self._created_us = segment.last_created_us()
        self._producers = segment.producers()
        if self._end > segment.end() and segment.end() > segment.first:
            log.error(
                "%s: positions %d to %d are lost; writing on at %d",
                path, segment.end(), self._end, self._end,
            )  # fmt: skip

    def append(self, blocks: list[NewBlock]) -> list[int | None]:
        """Write blocks durably, in one transaction; see the contract."""
        now = max(self._clock(), self._created_us)
        fresh: list[NewBlock] = []
        positions: list[int | None] = []
        sequences = dict(self._producers)
        end = self._end
        for block in blocks:
            if block.producer:
                if block.sequence <= sequences.get(block.producer, -1):
                    positions.append(None)
                    continue
                sequences[block.producer] = block.sequence
            fresh.append(block)
            positions.append(end)
            end += block.count
        if fresh:
            try:
                segment = self._current(now)
                end = segment.append(self._end, fresh, now)
            except (sqlite3.Error, OSError) as error:
                self._abandon()
                raise JournalUnwritable(f"{self._folder}: {error}") from error
            self._end, self._created_us, self._producers = end, now, sequences
        return positions

    def _current(self, now: int) -> Segment:
        """The segment to write to; begins a new one each UTC day, and when one is large."""
        segment = self._segment
        if segment is not None:
            same_day = self._created_us == 0 or now // _DAY_US == self._created_us // _DAY_US
            small = segment.path.stat().st_size < self._segment_bytes
            if (same_day and small) or segment.end() == segment.first:
                return segment
            segment.close()
            self._segment = None
        path = self._folder / segment_name(self._end)
        if path.exists():
            # A write to an empty segment failed: its file is not to be trusted.
            path.rename(path.with_suffix(f".failed-{now}"))
        create_segment(self._folder, self._end, now, self._producers)
        self._segment = Segment(path)
        return self._segment

    def _abandon(self) -> None:
        """After a failed write or fsync the file is closed, and a new one begun by the next."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def last_sequence(self, producer: str) -> int | None:
        """The highest sequence of a producer, or None."""
        return self._producers.get(producer)

    def last_created_us(self) -> int:
        """``created_us`` of the newest block, or 0."""
        return self._created_us

    def close(self) -> None:
        """Release the partition."""
        self._abandon()
        self._lock.close()


def _segments(folder: Path) -> list[tuple[int, Path]]:
    """(first position, path) of each segment, ascending."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - called for each poll; three times as fast
    except FileNotFoundError:
        return []
    found = [
        (int(name[:20]), folder / name)
        for name in names
        if name.endswith(".sqlite") and len(name) == 27 and name[:20].isdigit()
    ]
    return sorted(found)


def _file_bytes(path: Path) -> int:
    return sum(
        sibling.stat().st_size
        for suffix in ("", "-wal", "-shm")
        if (sibling := path.with_name(path.name + suffix)).exists()
    )


def _merged(gaps: list[Gap]) -> list[Gap]:
    merged: list[Gap] = []
    for gap in gaps:
        if merged and merged[-1].end == gap.first and merged[-1].reason == gap.reason:
            merged[-1] = Gap(merged[-1].first, gap.end, gap.reason)
        else:
            merged.append(gap)
    return merged
