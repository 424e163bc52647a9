"""How many events, by source and hour of receipt: the entries of the loss ledger.

Each part of Penstock counts what it was given apart from what it hands on, and writes its counts
in the same transaction as the events. ``penstock.monitor.ledger`` compares them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from penstock.events.model import Record, RejectedRecord

__all__ = ["HOUR_US", "Count", "Counts", "counted", "decode_counts", "encode_counts"]

HOUR_US = 3_600_000_000
Counts = Counter[tuple[str, int]]
"""Events by (source, hours since 1970 UTC)."""


class Count(msgspec.Struct, array_like=True, gc=False):
    """Events of one source that were received in one hour."""

    source: str
    """Slug, or empty when it is unknown."""
    hour: int
    """Hours since 1970 UTC."""
    events: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Count]).decode


def counted(records: Iterable[Record] | Iterable[RejectedRecord]) -> Counts:
    """The counts of these records, one by one."""
    return Counter([(record.source, record.received_us // HOUR_US) for record in records])


def encode_counts(counts: Counts) -> bytes:
    """The ``meta`` of a block of ``received`` or ``rejected``: what was promised to senders."""
    return _encode([Count(source, hour, n) for (source, hour), n in counts.items()])


def decode_counts(meta: bytes) -> Counts | None:
    """What ``encode_counts`` wrote; None for a block from before there were counts.

    Raises msgspec.MsgspecError for anything else.
    """
    if not meta:
        return None
    return Counter({(count.source, count.hour): count.events for count in _decode(meta)})
