"""What a block of ``events`` or ``counts`` says of the range of ``received`` it was made from."""

from __future__ import annotations

import msgspec

__all__ = ["EventsMeta", "RangeCount", "decode_events_meta"]


class RangeCount(msgspec.Struct, array_like=True):
    """Events of one source and hour of receipt, of the range."""

    source: str
    hour: int
    """Hours since 1970 UTC."""
    accepted: int
    """What collectors promised, as their blocks say."""
    read: int
    """What stood in those blocks."""
    duplicate: int
    """What had been seen before."""
    removed: int = 0
    """What functions on the source dropped or refused."""
    added: int = 0
    """What they made beyond one event of one."""


class EventsMeta(msgspec.Struct):
    """Where a block came from."""

    partition: int
    """Partition of ``received``."""
    first: int
    """Position of the first event read for this block."""
    end: int
    """Position after the last."""
    duplicates: int
    """Events of that range that had been seen before."""
    newest_us: int
    """No event up to the end of this block was received later than this."""
    counts: list[RangeCount] | None = None
    """The range's part of the loss ledger; None in blocks from before there was one."""


decode_events_meta = msgspec.json.Decoder(EventsMeta).decode
"""Read the ``meta`` of a block. Raises msgspec.MsgspecError."""
