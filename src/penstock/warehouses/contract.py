"""What the engine asks of a warehouse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import pyarrow as pa

from penstock.events.model import Record

__all__ = ["Loaded", "Progress", "Warehouse"]


Chunk = TypeVar("Chunk")
"""What a warehouse makes of events before it loads them."""


@dataclass(frozen=True)
class Progress:
    """How far a warehouse has read one partition of ``events``, since its beginning."""

    next: int = 0
    """Position to read on from."""
    loaded: int = 0
    """Events that have rows."""
    filtered: int = 0
    """Events kept out by ``integrations.Warehouses``."""


@dataclass(frozen=True)
class Loaded:
    """What one call of ``load`` did."""

    events: int
    filtered: int
    tables: int
    """Tables written, which decides how large the next chunk should be."""
    discards: int


class Warehouse(Protocol[Chunk]):
    """Typed tables in an engine that has transactions (capability ``atomic_position``)."""

    def progress(self) -> dict[int, Progress]:
        """Progress by partition, as it was committed with the last rows."""

    def prepare(self, chunk: list[Record]) -> Chunk:
        """Do what can be done before the chunk before is loaded, in a thread of its own.

        Raises WarehouseError when an event can't be read.
        """

    def load(
        self,
        chunk: Chunk,
        part: int,
        following: int,
        before_commit: Callable[[], None] = lambda: None,
    ) -> Loaded:
        """Load events of one partition in order, and set its position, in one transaction.

        ``before_commit`` is called when the engine alone has work left.

        Nothing of a chunk is visible unless all of it is. Raises WarehouseError; then nothing
        was changed, and the same events, or a part of them, may be prepared and given again.
        """

    def set_aside(self, record: Record, part: int, following: int, why: str) -> None:
        """Keep an event that can't be loaded where it can be found, and move past it."""

    def compact(self, every: timedelta | None = None) -> int:
        """Remove rows whose id was loaded before; returns how many.

        With ``every`` only when the last time is longer ago. Raises WarehouseError.
        """

    def query(self, sql: str, dialect: str | None = None) -> pa.Table:
        """The result of one read-only statement, in the given dialect (default: our own).

        Raises QueryRefused.
        """

    def close(self) -> None:
        """Close the engine."""
