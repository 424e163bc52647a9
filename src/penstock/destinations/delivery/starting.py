"""Where in the journal something begins that is told by time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock.destinations.delivery.reading import SharedReader
from penstock.errors import JournalError
from penstock.journal.contract import Block
from penstock.process.meta import decode_events_meta

__all__ = ["first_received_since", "first_written_since", "start_of"]


def start_of(reader: SharedReader, part: int, since_us: int) -> int:
    """Where a destination begins that is there since then; 0: now."""
    if not since_us:
        return reader.end(part)
    return first_written_since(reader, part, since_us)


def first_written_since(reader: SharedReader, part: int, since_us: int) -> int:
    """The first event that became clean after that time."""
    return _search(reader, part, lambda block: block.created_us >= since_us)


def first_received_since(reader: SharedReader, part: int, since_us: int) -> int:
    """A position before which nothing was received as late as that."""
    return _search(reader, part, lambda block: _newest_us(block) >= since_us)


def _search(reader: SharedReader, part: int, reached: Callable[[Block], bool]) -> int:
    """Where the first block begins that has reached something, which all after it have too."""
    low, high = reader.start(part), reader.end(part)
    while low < high:
        middle = (low + high) // 2
        try:
            block = reader.block(part, middle)
        except JournalError:
            return low
        if block is None or reached(block):
            high = middle if block is None else min(max(block.first, low), middle)
        else:
            low = max(block.end, middle + 1)
    return low


def _newest_us(block: Block) -> int:
    """No event up to the end of the block was received later; unknown counts as late."""
    try:
        return decode_events_meta(block.meta).newest_us
    except msgspec.MsgspecError:
        return 1 << 62
