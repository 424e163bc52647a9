"""The last events of a person, out of the journal."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from penstock.errors import JournalDamaged
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Journal
from penstock.profiles.observed import Observed, observe
from penstock.profiles.stream.profile import SegmentState

__all__ = ["recent_events"]

_PLACE_BITS = 44
_PLACE_BYTES = 8
_MOST = 500
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode


def recent_events(journal: Journal, states: Iterable[SegmentState]) -> list[tuple[int, Observed]]:
    """What the segments remember, each with its place; in no order.

    Events that retention took from the journal, or that can't be read, are left out.
    """
    places: list[int] = []
    for state in states:
        packed = state.recent
        places += [
            int.from_bytes(packed[at : at + _PLACE_BYTES], "big")
            for at in range(0, len(packed), _PLACE_BYTES)
        ]
    pending = sorted(places)[-_MOST:]
    found: list[tuple[int, Observed]] = []
    while pending:
        block, pending = _of_one_block(journal, pending)
        found += block
    return found


def _of_one_block(
    journal: Journal, places: list[int]
) -> tuple[list[tuple[int, Observed]], list[int]]:
    """The events that are in the block of the first place, and the places that are left."""
    part, first = places[0] >> _PLACE_BITS, places[0] & ((1 << _PLACE_BITS) - 1)
    try:
        blocks = journal.read(EVENTS, part, first, 1).blocks
    except JournalDamaged:
        return [], places[1:]
    if not blocks or blocks[0].first > first:
        return [], places[1:]
    block, base = blocks[0], part << _PLACE_BITS
    try:
        records = _decode_records(block.body)
    except msgspec.MsgspecError:
        records = []
    mine = [place for place in places if place < base + block.end]
    found = []
    for place in mine:
        offset = place - base - block.first
        event = _event(records[offset]) if offset < len(records) else None
        if event is not None:
            found.append((place, event))
    return found, places[len(mine) :]


def _event(record: Record) -> Observed | None:
    try:
        return observe(record.source, record.received_us, record.payload)
    except (msgspec.MsgspecError, ValueError):
        return None
