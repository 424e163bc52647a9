"""The writer of one partition of the embedded journal."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO

from penstock.errors import JournalError, JournalUnwritable
from penstock.journal.contract import NewBlock
from penstock.journal.salvage import cut_torn_wal, finish_mending, mend, report, tail_is_sound
from penstock.journal.segment import Segment, create_segment, segments_of

__all__ = ["Clock", "SegmentWriter"]

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""
_DAY_US = 86_400_000_000


class SegmentWriter:
    """A contract.Writer over the segments in a folder, holding the folder's lock.

    After a failed write the segment is closed and the next append begins a new one, whose first
    position is the end of what was acknowledged: readers take no more of the old one, whatever a
    failed write left there. Until then its connection stays open, because SQLite looks for such
    remains only when a file is opened by nobody.
    """

    def __init__(self, folder: Path, reserved: int, segment_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._segment: Segment | None = None
        self._failed = False
        self._producers: dict[str, int] = {}
        self._created_us = 0
        self._end = 0
        self._lock = _locked(folder)
        try:
            self._recover(reserved)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalUnwritable(f"{folder}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _recover(self, reserved: int) -> None:
        finish_mending(self._folder)
        segments = segments_of(self._folder)
        if segments:
            path = segments[-1][1]
            cut_torn_wal(path)
            if not tail_is_sound(path):
                mend(path)
        self._open_newest()
        found = self._end
        if reserved > found:
            create_segment(self._folder, reserved, self._created_us, self._producers)
            text = f"positions {found} to {reserved} are lost; writing on after them"
            report(self._folder.parents[1], self._folder, text)
            self._open_newest()

    def _open_newest(self) -> None:
        self._close_segment()
        segments = segments_of(self._folder)
        if segments:
            self._segment = segment = Segment(segments[-1][1])
            self._end = segment.end()
            self._created_us = segment.last_created_us()
            self._producers = segment.producers()

    def append(self, blocks: list[NewBlock]) -> list[int | None]:
        """Write blocks durably, in one transaction; see the contract."""
        now = max(self._clock(), self._created_us)
        fresh: list[NewBlock] = []
        positions: list[int | None] = []
        sequences = dict(self._producers)
        end = self._end
        for block in blocks:
            if block.count < 1:
                raise ValueError("a block holds at least one event")
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
                self._end = self._current(now).append(self._end, fresh, now)
            except (sqlite3.Error, OSError, JournalError) as error:
                self._failed = True
                raise JournalUnwritable(f"{self._folder}: {error}") from error
            self._created_us, self._producers = now, sequences
        return positions

    def _current(self, now: int) -> Segment:
        """The segment to write to; begins a new one each UTC day, and when one is large.

        One without a block is kept even after a failure: nothing in it was acknowledged, and
        what is written next overwrites what failed.
        """
        old = self._segment
        if old is not None and old.path.exists():
            same_day = now // _DAY_US == self._created_us // _DAY_US
            small = old.path.stat().st_size < self._segment_bytes
            if (same_day and small and not self._failed) or self._end == old.first:
                return old
        path = create_segment(self._folder, self._end, now, self._producers)
        self._segment = Segment(path)
        self._failed = False
        if old is not None:
            old.close()
        return self._segment

    def last_sequence(self, producer: str) -> int | None:
        """The highest sequence of a producer, or None."""
        return self._producers.get(producer)

    def last_created_us(self) -> int:
        """``created_us`` of the newest block, or 0."""
        return self._created_us

    def close(self) -> None:
        """Release the partition."""
        self._close_segment()
        self._lock.close()

    def _close_segment(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None


def _locked(folder: Path) -> IO[bytes]:
    lock = (folder / "writer.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise JournalError(f"{folder} already has a writer") from error
    return lock
