"""What becomes of events that are being watched: stored or duplicate, then loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from penstock.errors import JournalError, PenstockError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, RECEIVED, Block, Journal
from penstock.monitor.discards import discards_of
from penstock.process.meta import EventsMeta, decode_events_meta

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DUPLICATE",
    "FILTERED",
    "LOADED",
    "RECEIVED_FATE",
    "STORED",
    "AskFates",
    "Fate",
    "Fates",
    "Watched",
]

RECEIVED_FATE = "received"
STORED = "stored"
DUPLICATE = "duplicate"
LOADED = "loaded"
FILTERED = "filtered"
_PROCESS = "process"
_CHUNK = 4_000
_FAR = 10_000
"""Events beyond which the place to look is searched for, rather than read up to."""
_SHOWN = 3
_FATES_EVERY_S = 0.5
Ask = Callable[[str], "pa.Table"]
AskFates = Callable[
    [Iterable[tuple[int, int]]], Mapping[tuple[int, int], Mapping[str, tuple[str, str]]]
]
"""``DeliveryStore.fates``."""
_decode = msgspec.msgpack.Decoder(list[Record]).decode


@dataclass(frozen=True)
class Fate:
    """Where an event is, and what there is to say of it."""

    name: str
    note: str = ""
    deliveries: Mapping[str, str] | None = None
    """What became of it at destinations, where that is the news; ``name`` is empty then."""


@dataclass
class Watched:
    """An event whose fate is followed."""

    number: int
    part: int
    """Partition of ``received``."""
    position: int
    source: str
    message_id: str
    received_us: int
    routed: bool
    """Whether it asks to be loaded."""
    twin: bool
    """Whether the same messageId came before it at the same time: only one can be stored."""
    stored_at: tuple[int, int] | None = None
    """Partition and position in ``events``."""


class Fates:
    """Follows a bounded number of events through the journal and the warehouse."""

    def __init__(
        self,
        journal: Journal,
        ask: Ask | None,
        clock: Callable[[], float],
        most: int = 1_000,
        ask_fates: AskFates | None = None,
    ) -> None:
        self._journal = journal
        self._ask = ask
        self._clock = clock
        self.most = most
        """Events that are followed at a time."""
        self._waiting: dict[int, Watched] = {}
        """Received; neither stored nor duplicate yet."""
        self._stored: dict[int, Watched] = {}
        self._reached: dict[int, int] = {}
        """By partition of ``events``, what was looked at."""
        self._ask_at = 0.0
        self._pause = 1.0
        self._ask_fates = ask_fates
        self._delivering: dict[int, tuple[Watched, dict[str, str]]] = {}
        """Stored, with what is known of it at destinations; the newest."""
        self._fates_at = 0.0

    def watch(self, event: Watched) -> None:
        """Follow one more; the oldest is let go when there are too many."""
        self._waiting[event.number] = event
        for watched in (self._stored, self._waiting):
            if len(self._waiting) + len(self._stored) > self.most and watched:
                del watched[next(iter(watched))]

    def changes(self, read_to: dict[int, int]) -> Iterator[tuple[Watched, Fate]]:
        """What changed since the last call.

        ``read_to`` says up to where each partition of ``received`` was looked at for events to
        watch: what was made of later ones is looked at again.
        """
        if self._waiting:
            yield from self._settle(read_to)
        if self._stored and self._ask is not None and self._clock() >= self._ask_at:
            yield from self._loaded(self._ask)
        if self._delivering and self._ask_fates is not None and self._clock() >= self._fates_at:
            self._fates_at = self._clock() + _FATES_EVERY_S
            yield from self._delivered(self._ask_fates)

    def _delivered(self, ask: AskFates) -> Iterator[tuple[Watched, Fate]]:
        """What destinations did since the last look."""
        places = {event.stored_at: number for number, (event, _) in self._delivering.items()
                  if event.stored_at is not None}  # fmt: skip
        try:
            found = ask(places)
        except PenstockError:
            return
        for place, told in found.items():
            event, before = self._delivering[places[place]]
            now = {slug: f"{step} {code}".strip() for slug, (step, code) in told.items()}
            if now != before:
                self._delivering[event.number] = (event, now)
                yield event, Fate("", deliveries=now)

    # Stored or duplicate --------------------------------------------------------------------

    def _settle(self, read_to: dict[int, int]) -> Iterator[tuple[Watched, Fate]]:
        """Positions first, then what was written up to them: so nothing is called a duplicate
        that stands in a block which is read too late."""
        passed = {
            part: self._journal.position(_PROCESS, RECEIVED, part)
            for part in {event.part for event in self._waiting.values()}
        }
        for part in self._journal.partitions(EVENTS):
            for event in list(self._find(part, read_to)):
                del self._waiting[event.number]
                self._stored[event.number] = event
                self._delivering[event.number] = (event, {})
                if len(self._delivering) > self.most:
                    del self._delivering[next(iter(self._delivering))]
                self._ask_at, self._pause = min(self._ask_at, self._clock() + 1.0), 1.0
                yield event, Fate(STORED)
        for event in list(self._waiting.values()):
            if event.position < passed[event.part]:
                del self._waiting[event.number]
                yield event, Fate(DUPLICATE, "its messageId was received before")

    def _find(self, part: int, read_to: dict[int, int]) -> Iterator[Watched]:
        """The watched events in what was written to ``events`` since the last look."""
        end = self._journal.end(EVENTS, part)
        position = self._reached.get(part)
        oldest_us = min(event.received_us for event in self._waiting.values())
        if position is None or end - position > _FAR:
            position = max(position or 0, self._search(part, end, oldest_us))
        again: int | None = None
        while position < end:
            try:
                reading = self._journal.read(EVENTS, part, position, _CHUNK)
            except JournalError:
                break  # it is being mended
            for block in reading.blocks:
                meta = _meta(block.meta)
                if meta is None:
                    continue
                yield from self._in_block(part, block, meta)
                if again is None and meta.end > read_to.get(meta.partition, 0):
                    again = block.first
            if reading.next == position:
                break
            position = reading.next
        self._reached[part] = position if again is None else again

    def _in_block(self, part: int, block: Block, meta: EventsMeta) -> Iterator[Watched]:
        wanted = {
            (event.source, event.message_id, event.received_us): event
            for event in reversed(self._waiting.values())
            if event.part == meta.partition
            and meta.first <= event.position < meta.end
            and not event.twin
        }
        if not wanted:
            return
        for position, record in enumerate(_decode(block.body), block.first):
            event = wanted.pop((record.source, record.message_id, record.received_us), None)
            if event is not None:
                event.stored_at = (part, position)
                yield event

    def _search(self, part: int, end: int, oldest_us: int) -> int:
        """Where in ``events`` the first block begins that may hold something received then.

        ``newest_us`` never falls from one block to the next.
        """
        low, high = self._journal.start(EVENTS, part), end
        while low < high:
            middle = (low + high) // 2
            try:
                blocks = self._journal.read(EVENTS, part, middle, 1).blocks
            except JournalError:
                return low
            meta = _meta(blocks[0].meta) if blocks else None
            if meta is None or meta.newest_us >= oldest_us:
                high = middle
            else:
                low = max(blocks[0].end, middle + 1)
        return low

    # Loaded ---------------------------------------------------------------------------------

    def _loaded(self, ask: Ask) -> Iterator[tuple[Watched, Fate]]:
        """Asked once a second at most, and ever less often while nothing is loaded."""
        changed = False
        try:
            rows = ask("SELECT part, next FROM penstock.progress").to_pylist()
            following = {row["part"]: row["next"] for row in rows}
            passed = [event for event in self._stored.values() if _is_passed(event, following)]
            lost = self._discards(ask, passed)
        except PenstockError:
            passed = []
        for event in passed:
            changed = True
            del self._stored[event.number]
            if event.routed:
                yield event, Fate(LOADED, _note(lost.get((event.source, event.message_id), ())))
            else:
                yield event, Fate(FILTERED, "kept out by integrations.Warehouses")
        self._pause = 1.0 if changed else min(self._pause * 2, 10.0)
        self._ask_at = self._clock() + self._pause

    @staticmethod
    def _discards(ask: Ask, events: list[Watched]) -> dict[tuple[str, str], list[tuple[str, str]]]:
        found = {}
        for source in {event.source for event in events}:
            ours = [event for event in events if event.source == source]
            oldest = min(event.received_us for event in ours) // 1_000_000
            since = datetime.fromtimestamp(oldest, UTC) - timedelta(seconds=1)
            lost = discards_of(ask, source, (event.message_id for event in ours), since)
            found.update({(source, message_id): values for message_id, values in lost.items()})
        return found


def _is_passed(event: Watched, following: dict[int, int]) -> bool:
    if event.stored_at is None:
        return False
    part, position = event.stored_at
    return position < following.get(part, 0)


def _note(lost: Iterable[tuple[str, str]]) -> str:
    """``1 value in discards: total (type)``."""
    listed = [f"{column} ({reason})" for column, reason in lost]
    if not listed:
        return ""
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    values = "1 value" if len(listed) == 1 else f"{len(listed)} values"
    return f"{values} in discards: {', '.join(listed[:_SHOWN])}{more}"


def _meta(raw: bytes) -> EventsMeta | None:
    try:
        return decode_events_meta(raw)
    except msgspec.MsgspecError:
        return None
