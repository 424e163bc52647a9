"""Brings what the journal holds to a pipeline, and knows how far all of it is settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock import logs
from penstock.destinations.delivery.pipeline import Pipeline
from penstock.destinations.delivery.reading import Loaded, SharedReader
from penstock.destinations.delivery.records import DISCARDED, FAILED, FILTERED
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Delivery, Owner
from penstock.destinations.routed import (
    OTHER_SOURCE,
    Mapped,
    NotYet,
    Planned,
    Routed,
    Unsendable,
)
from penstock.destinations.sending.outcome import Outcome
from penstock.events.model import Record
from penstock.journal.contract import Gap

__all__ = ["Event", "Feed", "Router", "Selection", "plan"]

log = logs.get("penstock.deliver")
_STRETCH = 256
"""Events between which other destinations have their turn."""
_AHEAD = 200
"""Events that functions are given at a time."""
_MOST_READ = 20_000
"""Events in memory at most, filtered ones behind a slow one included."""
Event = dict[str, Any]


class Router(Protocol):
    """What ``route.Route`` is for; tests have one of their own."""

    def __call__(self, event: Event, source: str) -> Routed:
        """What to send of an event."""

    def prepare(self, event: Event, source: str) -> None:
        """It will be asked for soon."""

    def replayed(self, event: Event) -> Event:
        """The event as a replay sends it."""


class Selection(Protocol):
    """What a replay wants."""

    def has(self, record: Record) -> bool:
        """Whether an event may be wanted, by what stands in its record."""

    def takes(self, event: Event) -> bool:
        """Whether it is."""


@dataclass(slots=True)
class _Slot:
    """An event that was read; its outcomes wait until all before it are settled."""

    position: int
    open: int = 0
    outcomes: list[tuple[Delivery, str, Outcome | None, int]] = field(default_factory=list)
    """(delivery, step, outcome, due): step is empty for what goes into the retry table."""
    filtered: tuple[str, int, str] | None = None
    """(source, received, reason) of an event with nothing to deliver."""


@dataclass(slots=True)
class _Stretch:
    """What was read of a partition and is not written yet."""

    started: int
    read: int
    """Where to read on."""
    settled: int
    """Up to here everything is in ``Tally``."""
    told: int = -1
    """``settled`` as it was told last."""
    slots: deque[_Slot] = field(default_factory=deque)


class Feed:
    """Reads ahead of what is settled, by a bounded number of events.

    ``collect`` hands outcomes to the tally in the order of the journal, up to the first event that
    is still on its way, so that position and outcomes are written together and a crash repeats
    deliveries, but loses none and counts none twice.
    """

    def __init__(
        self,
        reader: SharedReader,
        pipeline: Pipeline,
        route: Router,
        tally: Tally,
        clock: Callable[[], int],
        *,
        ordered: bool = False,
        replay: int = 0,
        only: Selection | None = None,
        ends: dict[int, int] | None = None,
    ) -> None:
        """``replay``, ``only`` and ``ends`` (by partition) make it the feed of a replay."""
        self._reader = reader
        self._pipeline = pipeline
        self._route = route
        self._tally = tally
        self._clock = clock
        self._ordered = ordered
        self._replay = replay
        self._only = only
        self._ends = ends
        self._stretches: dict[int, _Stretch] = {}
        self._slots: dict[tuple[int, int], _Slot] = {}
        self.parked_count = 0
        """Deliveries that will go into the retry table and are not in the tally yet."""

    def begin(self, part: int, position: int, started: int | None = None) -> None:
        """Read a partition from here on."""
        first = position if started is None else started
        self._stretches[part] = _Stretch(first, position, position)

    def parts(self) -> set[int]:
        """The partitions that it reads."""
        return set(self._stretches)

    def behind(self) -> int:
        """Events of the journal that are not settled."""
        return sum(max(self._reader.end(part) - one.settled, 0)
                   for part, one in self._stretches.items())  # fmt: skip

    @property
    def is_done(self) -> bool:
        """Whether a replay has read and settled all."""
        return self._ends is not None and all(
            one.settled >= self._ends[part] for part, one in self._stretches.items()
        )

    # Reading --------------------------------------------------------------------------------

    def advance(self, most: int = _STRETCH) -> int:
        """Read some events on, as far as there is room; returns how many. Raises JournalError."""
        done = 0
        for part, stretch in self._stretches.items():
            limit = None if self._ends is None else self._ends[part]
            while done < most and self._has_room() and (limit is None or stretch.read < limit):
                found = self._reader.at(part, stretch.read)
                if found is None:
                    break
                if found.block is None:
                    if found.gap is not None:
                        self._pass_gap(part, found.gap)
                    stretch.read = found.next
                    continue
                done += self._walk(part, stretch, found.block, most - done, limit)
        return done

    def _has_room(self) -> bool:
        read = sum(len(stretch.slots) for stretch in self._stretches.values())
        return read < _MOST_READ and self._pipeline.room() > 0

    def _walk(
        self, part: int, stretch: _Stretch, block: Loaded, most: int, limit: int | None
    ) -> int:
        begin = stretch.read
        end = min(block.end, begin + most, block.end if limit is None else limit)
        while stretch.read < end and self._has_room():
            position = stretch.read
            stretch.read += 1
            try:
                self._read_one(part, stretch, position, block)
            except NotYet as wait:
                stretch.read = position
                self._look_ahead(block, position, min(block.end, position + _AHEAD))
                wait.then(self._pipeline.wake.set)
                break
        return stretch.read - begin

    def _look_ahead(self, block: Loaded, position: int, end: int) -> None:
        """Let functions begin with the events that follow."""
        for following in range(position + 1, end):
            record, event = block.record(following), block.event(following)
            if self._only is None or (self._only.has(record) and self._only.takes(event)):
                if self._replay:
                    event = self._route.replayed(event)
                self._route.prepare(event, record.source)

    def _pass_gap(self, part: int, gap: Gap) -> None:
        log.error("a destination can't read some events any more; they are not delivered",
                  destination=self._pipeline.slug, partition=part, first=gap.first, end=gap.end,
                  reason=gap.reason)  # fmt: skip
        if not self._replay:
            self._tally.changes.gaps.append((part, gap.first, gap.end, gap.reason))

    def _read_one(self, part: int, stretch: _Stretch, position: int, block: Loaded) -> None:
        record = block.record(position)
        if self._only is not None and not self._only.has(record):
            return
        event = block.event(position)
        if self._only is not None and not self._only.takes(event):
            return
        slot = _Slot(position)
        if self._replay:
            event = self._route.replayed(event)
        routed = self._routed(event, record.source)
        if self._replay:
            self._tally.changes.replays[self._replay, "selected"] += 1
        if routed.reason:
            slot.filtered = (record.source, record.received_us, routed.reason)
            stretch.slots.append(slot)
            return
        slot.open = len(routed.planned) + len(routed.unsendable)
        stretch.slots.append(slot)
        self._slots[part, position] = slot
        if slot.open > 1 and not self._replay:
            slot.filtered = (record.source, record.received_us, "")
        self._hand_out(part, position, record, event, routed)

    def _hand_out(
        self, part: int, position: int, record: Record, event: Event, routed: Routed
    ) -> None:
        """Begin with all that an event asks for."""
        now_us = self._clock()
        units: list[Planned | Unsendable] = [*routed.planned, *routed.unsendable]
        for unit in units:
            delivery = self._delivery(part, position, record, event, unit.place, unit.mapped)
            delivery.since_us = now_us if self._replay else record.received_us
            if isinstance(unit, Planned):
                delivery.payload = unit.payload
                self._start(delivery, now_us)
            elif unit.later:
                self._pipeline.postpone(delivery, Outcome(0, unit.code, unit.reason, True))
            else:
                step = FILTERED if unit.skipped else DISCARDED
                self.settled(delivery, step, Outcome(400, unit.code, unit.reason))

    def _routed(self, event: Event, source: str) -> Routed:
        """Raises NotYet, also when there is no room to wait for functions."""
        routed = self._route(event, source)
        if self._pipeline.is_full and any(unit.later for unit in routed.unsendable):
            raise NotYet(lambda _: None)
        return routed

    def _start(self, delivery: Delivery, now_us: int) -> None:
        """Hand it on; what waited for too long for a tool that is down is given up unsent."""
        pipeline = self._pipeline
        if (
            pipeline.is_broken
            and pipeline.last is not None
            and pipeline.deadline_us(delivery) <= now_us
        ):
            self.settled(delivery, FAILED, pipeline.last)
        else:
            pipeline.submit(delivery)

    def _delivery(
        self, part: int, position: int, record: Record, event: Event, place: int, mapped: Mapped
    ) -> Delivery:
        return plan(self, part, position, record, event, place, mapped,
                    ordered=self._ordered, replay=self._replay)  # fmt: skip

    # Outcomes -------------------------------------------------------------------------------

    def settled(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """See ``unit.Owner``."""
        self._note(delivery, step, outcome, 0)

    def parked(self, delivery: Delivery, due_us: int) -> None:
        """See ``unit.Owner``."""
        self.parked_count += 1
        self._note(delivery, "", None, due_us)

    def _note(self, delivery: Delivery, step: str, outcome: Outcome | None, due_us: int) -> None:
        slot = self._slots[delivery.part, delivery.position]
        slot.outcomes.append((delivery, step, outcome, due_us))
        slot.open -= 1
        delivery.payload = {}
        if not slot.open:
            del self._slots[delivery.part, delivery.position]

    def collect(self) -> None:
        """Hand on what is settled."""
        changes = self._tally.changes
        for part, stretch in self._stretches.items():
            slots = stretch.slots
            while slots and not slots[0].open:
                self._hand_on(part, slots.popleft())
            settled = slots[0].position if slots else stretch.read
            stretch.settled = settled
            if settled == stretch.told:
                continue
            stretch.told = settled
            if self._replay:
                changes.replay_positions[self._replay, part] = settled
            else:
                changes.positions[part] = (stretch.started, settled)

    def _hand_on(self, part: int, slot: _Slot) -> None:
        tally = self._tally
        for delivery, step, outcome, due_us in slot.outcomes:
            if outcome is None:
                self.parked_count -= 1
                tally.parked(delivery, due_us)
            else:
                tally.settled(delivery, step, outcome)
        if slot.filtered is None:
            return
        source, received_us, reason = slot.filtered
        if self._replay:
            tally.changes.replays[self._replay, "filtered"] += 1
        elif reason:
            place = (part, slot.position)
            tally.filtered(place, source, received_us, reason, shown=reason != OTHER_SOURCE)
        else:
            tally.more(source, received_us, len(slot.outcomes) - 1)


def plan(
    owner: Owner,
    part: int,
    position: int,
    record: Record,
    event: Event,
    place: int,
    mapped: Mapped,
    *,
    ordered: bool,
    replay: int,
) -> Delivery:
    """A delivery without its payload."""
    name = event.get("event")
    call = event.get("type")
    return Delivery(
        owner, part, position, place, mapped, {}, record.source, record.received_us,
        record.message_id,
        name if call == "track" and isinstance(name, str) else f"${call}",
        str(event.get("userId") or event.get("anonymousId") or "") if ordered else "",
        replay=replay,
    )  # fmt: skip
