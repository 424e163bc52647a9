"""What a journal promises.

A journal has topics, a topic has partitions, a partition is a sequence of events numbered from 0.
Events are written and read in blocks; a position always names an event, never a block. Every
implementation passes ``tests/contracts/journal.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, runtime_checkable

__all__ = [
    "COUNTS",
    "EVENTS",
    "RECEIVED",
    "REJECTED",
    "TOPICS",
    "Block",
    "Gap",
    "Journal",
    "NewBlock",
    "Reading",
    "Writer",
]

RECEIVED = "received"
"""Exactly what was accepted."""
EVENTS = "events"
"""Clean events, each once."""
REJECTED = "rejected"
"""What was refused, with code, reason and the original bytes."""
COUNTS = "counts"
"""A block for each range of ``received`` that left nothing in ``events``; its meta says why."""
TOPICS = (RECEIVED, EVENTS, REJECTED, COUNTS)


@dataclass(frozen=True)
class NewBlock:
    """Events to append together: all of them become readable, or none."""

    body: bytes
    """The encoded events; opaque to the journal."""
    count: int
    """How many events the body holds; at least 1."""
    meta: bytes = b""
    """A few bytes kept beside the body, such as the range this block was made from."""
    producer: str = ""
    sequence: int = -1
    """With ``producer``: appending a sequence not above the producer's last has no effect."""


@dataclass(frozen=True)
class Block:
    """Events as they were appended."""

    first: int
    """Position of the first event."""
    count: int
    created_us: int
    """When the block was written, microseconds since 1970 UTC."""
    meta: bytes
    body: bytes

    @property
    def end(self) -> int:
        """Position after the last event."""
        return self.first + self.count


@dataclass(frozen=True)
class Gap:
    """Positions that a reader asked for and that can't be read any more."""

    first: int
    end: int
    reason: str
    """``expired`` (retention) or ``damaged``."""


@dataclass(frozen=True)
class Reading:
    """What ``read`` found."""

    blocks: list[Block] = field(default_factory=list)
    """In order. The first may begin before the position asked for, when that lies inside it."""
    gaps: list[Gap] = field(default_factory=list)
    """What lies between the position asked for and ``next`` and can't be read."""
    next: int = 0
    """Where to read on."""


class Writer(Protocol):
    """The one writer of a partition; opening a second one at the same time is an error."""

    def append(self, blocks: list[NewBlock]) -> list[int | None]:
        """Write blocks durably, in one transaction; returns the first position of each.

        None stands for a block that was there already (same producer, sequence not above its
        last). When this returns, the blocks survive a power cut and readers see them. When it
        raises JournalUnwritable none of them may be taken as written, and the writer can be used
        again. Raises ValueError for a block without events, before anything is written.
        """

    def last_sequence(self, producer: str) -> int | None:
        """The highest sequence of a producer, or None when it never wrote here."""

    def last_created_us(self) -> int:
        """``created_us`` of the newest block, or 0."""

    def close(self) -> None:
        """Release the partition."""


@runtime_checkable
class Journal(Protocol):
    """A set of topics. Safe to open in many processes at once; one writer per partition."""

    def writer(self, topic: str, partition: int) -> Writer:
        """Open a partition for appending, creating it if need be.

        Repairs a tail damaged by a crash: what can't be read is set aside, reported, and its
        positions are never used again. Raises JournalError when the partition has a writer.
        """

    def partitions(self, topic: str) -> list[int]:
        """The partitions that were ever opened for appending, ascending."""

    def start(self, topic: str, partition: int) -> int:
        """Position of the oldest event kept."""

    def end(self, topic: str, partition: int) -> int:
        """Position after the newest event; a reader there is up to date."""

    def read(self, topic: str, partition: int, position: int, max_events: int) -> Reading:
        """Blocks from a position on, about ``max_events`` events, at least one block if any.

        Never skips in silence: what retention or damage took is returned as a gap.
        """

    def position(self, consumer: str, topic: str, partition: int) -> int:
        """Where a consumer said it reads on; 0 at first."""

    def commit(self, consumer: str, topic: str, partition: int, position: int) -> None:
        """Remember where a consumer reads on; retention keeps what it has not read."""

    def forget(self, consumer: str, topic: str) -> None:
        """A consumer reads a topic no more: retention keeps nothing for it, its positions are 0."""

    def expire(self, topic: str, age: timedelta, max_bytes: int) -> list[str]:
        """Drop old segments that every consumer has read; returns a line for each.

        ``max_bytes`` (0: none) drops more of them, those that every consumer has read first, then
        unread ones, whose line says ``expired_unread``. A consumer reads every partition of its
        topics. The newest segment of a partition always stays.
        """

    def size(self, topic: str) -> int:
        """Bytes a topic takes on disk."""

    def close(self) -> None:
        """Close everything this object opened, except writers."""
