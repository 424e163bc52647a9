"""Brings what the journal holds to a pipeline, and knows how far all of it is settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from penstock import logs
from penstock.destinations.delivery.pipeline import Pipeline
from penstock.destinations.delivery.reading import Loaded, SharedReader
from penstock.destinations.delivery.records import DISCARDED, FAILED, FILTERED
from penstock.destinations.delivery.slots import Slot, Stretch
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Delivery, Event, plan
from penstock.destinations.routed import NotYet, Planned, Routed, Unsendable
from penstock.destinations.sending.outcome import Outcome
from penstock.events.model import Record
from penstock.journal.contract import Gap

__all__ = ["Feed", "Router", "Selection"]

log = logs.get("penstock.deliver")
_STRETCH = 256
"""Events between which other destinations have their turn."""
_AHEAD = 200
"""Events that functions are given at a time."""
_MOST_READ = 20_000
"""Events in memory at most, filtered ones behind a slow one included."""


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
        self._stretches: dict[int, Stretch] = {}

    def begin(self, part: int, position: int, started: int | None = None) -> None:
        """Read a partition from here on."""
        first = position if started is None else started
        self._stretches[part] = Stretch(first, position, position)

    def parts(self) -> set[int]:
        """The partitions that it reads."""
        return set(self._stretches)

    def behind(self) -> int:
        """Events of the journal that are not settled."""
        return sum(max(self._reader.end(part) - one.settled, 0)
                   for part, one in self._stretches.items())  # fmt: skip

    @property
    def parked_count(self) -> int:
        """Deliveries that will go into the retry table and are not in the tally yet."""
        return sum(stretch.parked for stretch in self._stretches.values())

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
            while done < most and self._room() > 0 and (limit is None or stretch.read < limit):
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

    def _room(self) -> int:
        """How many events may be read just now, if each has one delivery."""
        read = sum(len(stretch.slots) for stretch in self._stretches.values())
        return min(_MOST_READ - read, self._pipeline.room())

    def _walk(
        self, part: int, stretch: Stretch, block: Loaded, most: int, limit: int | None
    ) -> int:
        pipeline, begin = self._pipeline, stretch.read
        room = self._room()
        end = min(block.end, begin + min(most, room), block.end if limit is None else limit)
        full = pipeline.pending + room
        while stretch.read < end and pipeline.pending < full:
            position = stretch.read
            stretch.read += 1
            try:
                self._read_one(part, stretch, position, block)
            except NotYet as wait:
                stretch.read = position
                self._look_ahead(block, position, min(block.end, position + _AHEAD))
                wait.then(pipeline.wake.set)
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

    def _read_one(self, part: int, stretch: Stretch, position: int, block: Loaded) -> None:
        record = block.record(position)
        only, replay = self._only, self._replay
        if only is not None and not only.has(record):
            return
        event = block.event(position)
        if only is not None and not only.takes(event):
            return
        if replay:
            event = self._route.replayed(event)
        routed = self._routed(event, record.source)
        if replay:
            self._tally.changes.replays[replay, "selected"] += 1
        slot = Slot(stretch, position, len(routed.planned) + len(routed.unsendable))
        stretch.slots.append(slot)
        if routed.reason:
            slot.filtered = (record.source, record.received_us, routed.reason)
            return
        if slot.open > 1 and not replay:
            slot.filtered = (record.source, record.received_us, "")
        self._hand_out(slot, part, record, event, routed)

    def _hand_out(
        self, slot: Slot, part: int, record: Record, event: Event, routed: Routed
    ) -> None:
        """Begin with all that an event asks for."""
        now_us = self._clock() if self._replay else 0
        units: list[Planned | Unsendable] = [*routed.planned, *routed.unsendable]
        for unit in units:
            delivery = plan(slot, part, slot.position, record, event, unit.place, unit.mapped,
                            ordered=self._ordered, replay=self._replay)  # fmt: skip
            delivery.since_us = now_us or record.received_us
            if isinstance(unit, Planned):
                delivery.payload = unit.payload
                self._start(delivery)
            elif unit.later:
                self._pipeline.postpone(delivery, Outcome(0, unit.code, unit.reason, True))
            else:
                step = FILTERED if unit.skipped else DISCARDED
                slot.settled(delivery, step, Outcome(400, unit.code, unit.reason))

    def _routed(self, event: Event, source: str) -> Routed:
        """Raises NotYet, also when there is no room to wait for functions."""
        routed = self._route(event, source)
        if any(unit.later for unit in routed.unsendable) and self._pipeline.is_full:
            raise NotYet(lambda _: None)
        return routed

    def _start(self, delivery: Delivery) -> None:
        """Hand it on; what waited for too long for a tool that is down is given up unsent."""
        pipeline = self._pipeline
        if (
            pipeline.is_broken
            and pipeline.last is not None
            and pipeline.deadline_us(delivery) <= self._clock()
        ):
            delivery.owner.settled(delivery, FAILED, pipeline.last)
        else:
            pipeline.submit(delivery)

    def collect(self) -> None:
        """Hand on what is settled."""
        changes = self._tally.changes
        for part, stretch in self._stretches.items():
            stretch.hand_on(part, self._tally, self._replay)
            if stretch.settled == stretch.told:
                continue
            stretch.told = stretch.settled
            if self._replay:
                changes.replay_positions[self._replay, part] = stretch.settled
            else:
                changes.positions[part] = (stretch.started, stretch.settled)
