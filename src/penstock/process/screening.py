"""What functions on sources leave of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.events.counts import Counts
from penstock.events.model import Record, RejectedRecord

__all__ = ["Screen", "Screened"]


@dataclass(frozen=True)
class Screened:
    """Events in the stead of others, and the account of it."""

    records: list[Record]
    """What goes on, in order; ids are unique."""
    rejected: list[RejectedRecord]
    """What was refused; it is part of ``removed`` too."""
    removed: Counts
    """Events in whose stead none goes on."""
    added: Counts
    """Events beyond the first that stand for one."""


Screen = Callable[[Sequence[Record]], Screened | None]
"""Functions on sources; None: all go on as they are. Raises PenstockError: ask again later."""
