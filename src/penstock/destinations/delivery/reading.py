"""Reads ``events`` for all destinations: what several are at is read and decoded once."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from penstock import logs
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Block, Gap, Journal

__all__ = ["Found", "Loaded", "SharedReader"]

log = logs.get("penstock.deliver")
_BLOCKS = 12
_STRETCH = 128
_STRETCHES = 64
"""What is kept decoded: about 8,000 events, 4 KB each."""
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_decode_event = msgspec.json.Decoder().decode
Event = dict[str, Any]
Key = TypeVar("Key")
Value = TypeVar("Value")


class Loaded:
    """A block of ``events``; its payloads are decoded when they are asked for."""

    def __init__(
        self,
        part: int,
        first: int,
        records: list[Record],
        cache: OrderedDict[tuple[int, int, int], list[Event]],
    ) -> None:
        self.part = part
        self.first = first
        self.end = first + len(records)
        self._records = records
        self._cache = cache

    def record(self, position: int) -> Record:
        """The record at a position of the block."""
        return self._records[position - self.first]

    def event(self, position: int) -> Event:
        """The event at a position, shared with others: not to be changed."""
        stretch, index = divmod(position - self.first, _STRETCH)
        key = (self.part, self.first, stretch)
        found = self._cache.get(key)
        if found is None:
            begin = stretch * _STRETCH
            found = [_decoded(one.payload) for one in self._records[begin : begin + _STRETCH]]
            _keep(self._cache, key, found, _STRETCHES)
        return found[index]


@dataclass(frozen=True)
class Found:
    """What stands at a position: a block that holds it, or a gap that begins there."""

    block: Loaded | None
    gap: Gap | None
    next: int
    """After the block or gap."""


class SharedReader:
    """Blocks by position, the last ones kept."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._blocks: OrderedDict[tuple[int, int], Loaded] = OrderedDict()
        self._events: OrderedDict[tuple[int, int, int], list[Event]] = OrderedDict()

    def partitions(self) -> list[int]:
        """The partitions of ``events``."""
        return self._journal.partitions(EVENTS)

    def end(self, part: int) -> int:
        """Position after the newest event."""
        return self._journal.end(EVENTS, part)

    def start(self, part: int) -> int:
        """Position of the oldest event kept."""
        return self._journal.start(EVENTS, part)

    def block(self, part: int, position: int) -> Block | None:
        """The block at or after a position, as it stands in the journal."""
        blocks = self._journal.read(EVENTS, part, position, 1).blocks
        return blocks[0] if blocks else None

    def at(self, part: int, position: int) -> Found | None:
        """What stands at a position; None at the end. Raises JournalError."""
        for key in reversed(self._blocks):
            block = self._blocks[key]
            if key[0] == part and block.first <= position < block.end:
                self._blocks.move_to_end(key)
                return Found(block, None, block.end)
        reading = self._journal.read(EVENTS, part, position, 1)
        if reading.gaps and reading.gaps[0].first <= position:
            gap = reading.gaps[0]
            return Found(None, Gap(position, gap.end, gap.reason), gap.end)
        if not reading.blocks:
            return None
        raw = reading.blocks[0]
        try:
            records = _decode_records(raw.body)
        except msgspec.MsgspecError as error:
            log.error("events can't be decoded", first=raw.first, end=raw.end, error=error)
            return Found(None, Gap(position, raw.end, "damaged"), raw.end)
        loaded = Loaded(part, raw.first, records, self._events)
        _keep(self._blocks, (part, raw.first), loaded, _BLOCKS)
        return Found(loaded, None, loaded.end)


def _keep(cache: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    cache[key] = value
    while len(cache) > most:
        cache.popitem(last=False)


def _decoded(payload: bytes) -> Event:
    """An event; one that is no JSON for msgspec, such as half a surrogate pair, is read anyway."""
    try:
        event = _decode_event(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            event = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return {}
    return event if isinstance(event, dict) else {}
